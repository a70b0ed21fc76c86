//! What the map of a view says of one block.

/// Who has a block, and whether it is zeros there: the slot of a layer, and one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u16);

/// The number of a layer within one view. 0 is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u16);

impl Slot {
    /// The slot after `others`. There are at most [`Slot::MAX`] of them.
    pub(super) fn after(others: usize) -> Option<Self> {
        let number = u16::try_from(others + 1).ok()?;
        (number <= Self::MAX).then_some(Slot(number))
    }

    /// The greatest one: an entry has 15 bits for it.
    pub(super) const MAX: u16 = u16::MAX >> 1;

    /// Its place in a list of layers by slot.
    pub(super) fn index(self) -> usize {
        usize::from(self.0) - 1
    }
}

impl Entry {
    /// No layer has it: it was never written.
    pub(super) const HOLE: Entry = Entry(0);

    /// A layer has bytes for it.
    pub(super) fn data(slot: Slot) -> Self {
        Entry(slot.0 << 1)
    }

    /// A layer says that it is zeros.
    pub(super) fn zero(slot: Slot) -> Self {
        Entry(slot.0 << 1 | 1)
    }

    /// Who says what it is, if anybody does.
    pub(super) fn slot(self) -> Option<Slot> {
        (self.0 > 1).then_some(Slot(self.0 >> 1))
    }

    /// Whether it reads as zeros without a look at any layer.
    pub(super) fn is_zeros(self) -> bool {
        self.0 & 1 == 1 || self.0 == 0
    }

    /// As a number, for a cell of its own size.
    pub(super) fn to_bits(self) -> u16 {
        self.0
    }

    /// What [`Entry::to_bits`] gave.
    pub(super) fn from_bits(bits: u16) -> Self {
        Entry(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_tells_its_slot_and_what_is_there() {
        let slot = Slot::after(0).unwrap();
        assert_eq!(Entry::data(slot).slot(), Some(slot));
        assert_eq!(Entry::zero(slot).slot(), Some(slot));
        assert!(Entry::zero(slot).is_zeros() && !Entry::data(slot).is_zeros());
        assert!(Entry::HOLE.is_zeros() && Entry::HOLE.slot().is_none());
    }

    #[test]
    fn greatest_slot_fits_an_entry_and_the_next_one_is_refused() {
        let last = Slot::after(usize::from(Slot::MAX) - 1).unwrap();
        assert_eq!(Entry::zero(last).slot(), Some(last));
        assert_eq!(Slot::after(usize::from(Slot::MAX)), None);
    }
}
