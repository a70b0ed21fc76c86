//! What callers may do.
//!
//! - `kinds` has the words: areas and rights.
//! - `pattern` covers resources, `scope` gives rights for them.
//! - `table` is the table of rights, and `source` where it comes from.
//! - `grants` is what one caller may do: every right is given or refused there.

mod grants;
mod kinds;
mod pattern;
mod scope;
mod source;
mod table;

pub(super) use self::grants::Standing;
pub use self::grants::{Explanation, Grants};
pub use self::kinds::{Area, Right, Rights, area_name, parse_question, right_name};
pub use self::pattern::Pattern;
pub(super) use self::pattern::without_slashes;
pub use self::scope::{Scope, Scopes};
pub(super) use self::source::Source;
pub use self::table::Table;
