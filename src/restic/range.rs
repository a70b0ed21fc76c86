//! Which bytes of an object are asked for.

use super::error::Error;
use crate::blob::Extent;

/// A wish for a part of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Range {
    /// All of it.
    #[default]
    Whole,
    /// From an offset on, up to another, which belongs to it.
    Offsets {
        /// The first byte.
        first: u64,
        /// The last byte; `None`: of the object.
        last: Option<u64>,
    },
    /// The last so many bytes.
    Suffix(u64),
}

impl Range {
    /// The part of an object of `size` bytes. The end is cut to what there is; a beginning behind the end is not
    /// satisfiable, and neither is a part of nothing (RFC 9110, 14.1.2).
    pub(super) fn of(self, size: u64) -> Result<Extent, Error> {
        let unsatisfiable = Error::RangeNotSatisfiable { size };
        match self {
            Range::Whole => Ok(Extent { first: 0, length: size }),
            Range::Offsets { first, last: Some(last) } if last < first => {
                Err(Error::InvalidRange(format!("the range {first}-{last} ends before it begins")))
            }
            Range::Offsets { first, .. } if first >= size => Err(unsatisfiable),
            Range::Offsets { first, last } => {
                let last = last.unwrap_or(u64::MAX).min(size - 1);
                Ok(Extent { first, length: last - first + 1 })
            }
            Range::Suffix(0) => Err(unsatisfiable),
            Range::Suffix(_) if size == 0 => Err(unsatisfiable),
            Range::Suffix(length) => {
                let length = length.min(size);
                Ok(Extent { first: size - length, length })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        let offsets = |first, last| Range::Offsets { first, last }.of(1000).ok();
        assert_eq!(offsets(0, None), Some(Extent { first: 0, length: 1000 }));
        assert_eq!(offsets(10, Some(19)), Some(Extent { first: 10, length: 10 }));
        assert_eq!(offsets(990, Some(1500)), Some(Extent { first: 990, length: 10 }));
        assert_eq!(Range::Suffix(100).of(1000).ok(), Some(Extent { first: 900, length: 100 }));
        assert_eq!(Range::Suffix(2000).of(1000).ok(), Some(Extent { first: 0, length: 1000 }));
    }

    #[test]
    fn what_cannot_be_satisfied_tells_the_size() {
        for range in [Range::Offsets { first: 1000, last: None }, Range::Suffix(0)] {
            assert!(matches!(range.of(1000), Err(Error::RangeNotSatisfiable { size: 1000 })));
        }
        assert!(matches!(Range::Suffix(1).of(0), Err(Error::RangeNotSatisfiable { size: 0 })));
        let backwards = Range::Offsets { first: 5, last: Some(3) };
        assert!(matches!(backwards.of(1000), Err(Error::InvalidRange(_))));
    }

    proptest! {
        #[test]
        fn an_extent_lies_inside_of_the_object(first: u64, last: Option<u64>, size: u64) {
            if let Ok(extent) = (Range::Offsets { first, last }).of(size) {
                prop_assert!(extent.length > 0 && extent.first == first);
                prop_assert!(extent.first.checked_add(extent.length).is_some_and(|end| end <= size));
            }
        }
    }
}
