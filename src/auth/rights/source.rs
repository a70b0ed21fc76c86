//! Where the table of rights comes from.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::table::Table;
use crate::auth::Error;
use crate::auth::fresh_file::{Content, FreshFile};
use crate::config;

/// The table, and where it is read again.
#[derive(Clone, Debug)]
pub(in crate::auth) enum Source {
    /// There is none: everybody may do everything.
    Nowhere,
    /// The configuration has it.
    Configuration(Arc<Table>),
    /// A file has it.
    File(Arc<FreshFile<Table>>),
}

/// It is time to look at the file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) struct Stale;

impl Source {
    /// As the settings have it. Reads the file.
    pub(in crate::auth) fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        if let Some(path) = &auth.rights_file {
            return FreshFile::open(path, Instant::now()).map(Arc::new).map(Source::File);
        }
        if auth.rights.is_empty() {
            return Ok(Source::Nowhere);
        }
        Table::parse(&auth.rights).map(Arc::new).map(Source::Configuration).map_err(Error::Rights)
    }

    /// The table as it was some seconds ago, if there is one.
    pub(in crate::auth) async fn table(&self) -> Option<Arc<Table>> {
        match self {
            Source::Nowhere => None,
            Source::Configuration(table) => Some(Arc::clone(table)),
            Source::File(file) => Some(file.content(Instant::now()).await),
        }
    }

    /// The same, where nothing has to be waited for.
    pub(in crate::auth) fn table_at_once(&self) -> Result<Option<Arc<Table>>, Stale> {
        match self {
            Source::Nowhere => Ok(None),
            Source::Configuration(table) => Ok(Some(Arc::clone(table))),
            Source::File(file) => file.content_at_once(Instant::now()).map(Some).ok_or(Stale),
        }
    }

    /// Whether callers are asked what they may do.
    pub(in crate::auth) fn is_somewhere(&self) -> bool {
        !matches!(self, Source::Nowhere)
    }

    /// Reads the file again, if there is one. Blocks.
    pub(in crate::auth) fn reload(&self) {
        if let Source::File(file) = self {
            file.reload();
        }
    }
}

impl Content for Table {
    const SETTING: &'static str = "auth.rights_file";
    const NAME: &'static str = "file of rights";

    /// A line that makes no sense makes the whole file none: a rule that is left out could be the one that matters.
    fn parse(path: &Path, content: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(content).map_err(|_| io::Error::other("it is not UTF-8"))?;
        let table = Table::parse(text).map_err(io::Error::other)?;
        if table.is_empty() {
            tracing::warn!(path = %path.display(), "the file of rights has none: nobody may do anything");
        }
        Ok(table)
    }
}
