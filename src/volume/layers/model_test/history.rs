//! What is done to the volumes, in a form that fits into a message and back into a test.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::World;

/// Something that is done. The numbers choose among what there is when it is its turn.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) what: u8,
    pub(super) which: u8,
    pub(super) at: u32,
    pub(super) length: u32,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}, {}, {})", self.what, self.which, self.at, self.length)
    }
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..102_u8, 0..6_u8, any::<u32>(), any::<u32>());
    let step = step.prop_map(|(what, which, at, length)| {
        // Often whole blocks.
        let whole = |number: u32| if which < 3 { number / 16384 * 16384 } else { number };
        let length = if which < 3 { (length / 4096 * 4096).wrapping_sub(1) } else { length };
        Step { what, which, at: whole(at) + at % 4, length }
    });
    proptest::collection::vec(step, 1..40)
}

/// Takes all of the steps, then the power. A failure says what has to be given to [`replay`] to see it again: the output
/// of a test that is made smaller is long, and of what is kept of it any part must do.
pub(super) fn live_through(seed: u64, steps: &[Step]) {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        steps.iter().for_each(|step| world.step(*step));
        world.disk.fail_after(0);
        world.lose_power();
        world.check();
    }));
    if let Err(panic) = lived {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        panic!("{}; it is replay({seed}, &{steps:?})", text.unwrap_or("a failure without words"));
    }
}

/// A history as a failure tells it.
pub(super) fn replay(seed: u64, steps: &[(u8, u8, u32, u32)]) {
    let step = |&(what, which, at, length): &(u8, u8, u32, u32)| Step { what, which, at, length };
    live_through(seed, &steps.iter().map(step).collect::<Vec<_>>());
}
