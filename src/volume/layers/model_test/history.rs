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
    let step = (0..104_u8, 0..6_u8, any::<u32>(), any::<u32>());
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
        for step in steps {
            world.step(*step);
        }
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
fn replay(seed: u64, steps: &[(u8, u8, u32, u32)]) {
    let step = |&(what, which, at, length): &(u8, u8, u32, u32)| Step { what, which, at, length };
    live_through(seed, &steps.iter().map(step).collect::<Vec<_>>());
}

/// In these the disk had lost its power in the middle of work that then was stopped, and got it back without a cut: what a
/// write that failed had left was taken for what had never been written.
#[test]
fn histories_that_failed_once() {
    replay(
        6_636_713_961_890_280_419,
        &[
            (88, 0, 0, u32::MAX),
            (0, 0, 401_391_618, u32::MAX),
            (30, 3, 934_969_500, 3_516_194_322),
            (54, 3, 378_732_776, 337_973_190),
            (98, 0, 678_887_424, u32::MAX),
            (0, 0, 70_139_905, 2_890_260_479),
            (92, 0, 27_246_595, u32::MAX),
            (72, 0, 2_832_515_073, u32::MAX),
            (98, 0, 1_014_906_883, u32::MAX),
            (46, 0, 0, u32::MAX),
        ],
    );
    replay(
        808_693_730_526_562_690,
        &[
            (0, 0, 2_417_573_888, u32::MAX),
            (54, 0, 0, u32::MAX),
            (68, 0, 0, u32::MAX),
            (0, 0, 64_765_954, u32::MAX),
            (98, 3, 3_323_269_820, 0),
            (30, 0, 248_152_066, u32::MAX),
            (78, 3, 748_100_368, 754_302_236),
            (78, 0, 0, u32::MAX),
            (78, 0, 0, u32::MAX),
            (98, 0, 140_754_944, u32::MAX),
            (46, 0, 0, u32::MAX),
        ],
    );
    replay(
        8_140_009_398_120_584_727,
        &[
            (98, 3, 3_718_166_812, 0),
            (54, 0, 2_737_586_176, u32::MAX),
            (0, 0, 1_521_369_089, 665_673_727),
            (68, 0, 0, u32::MAX),
            (98, 0, 1_760_608_256, u32::MAX),
            (0, 0, 0, u32::MAX),
            (0, 0, 504_561_664, u32::MAX),
            (0, 0, 0, u32::MAX),
            (78, 0, 0, u32::MAX),
            (98, 0, 132_562_944, u32::MAX),
            (46, 0, 0, u32::MAX),
        ],
    );
}

/// In this a merge was stopped, and what it had brought into a layer was not brought below that by a flatten: an open
/// volume, which still looked for it there, found nothing.
#[test]
fn a_flatten_after_a_merge_that_was_stopped() {
    replay(
        1_001_167_225_053_940_606,
        &[
            (54, 0, 0, u32::MAX),
            (0, 0, 1_664_106_497, 1_453_780_991),
            (46, 0, 0, u32::MAX),
            (0, 0, 65_538, u32::MAX),
            (98, 0, 813_563_906, u32::MAX),
            (54, 0, 20_119_552, 4_771_839),
            (46, 0, 0, u32::MAX),
            (0, 0, 989_691_907, u32::MAX),
            (0, 3, 683_081_728, 10_244_096),
            (54, 0, 337_215_490, u32::MAX),
            (0, 0, 40_960_000, u32::MAX),
            (0, 0, 407_076_864, u32::MAX),
            (98, 3, 678_232_676, 0),
            (68, 0, 289_849_346, u32::MAX),
            (72, 0, 1_637_892_099, u32::MAX),
            (78, 0, 1_255_817_216, u32::MAX),
            (54, 0, 0, u32::MAX),
            (0, 0, 0, u32::MAX),
            (0, 0, 90_652_674, u32::MAX),
            (78, 5, 1_060_835_780, 513_493_104),
            (72, 0, 1_696_661_507, u32::MAX),
        ],
    );
}
