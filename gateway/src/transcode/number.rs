//! Numbers as the original took and gave them.
//!
//! Quirk: integers may come as fractions, rounded half away from zero, as texts and as booleans.
//! Quirk: fractions are given in single precision: 29.97, not 29.969999313354492.

use std::ops::RangeInclusive;

use serde_json::Value;

/// Reads an integer; one that no 64 bits hold is as great as can be.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(is_set) => Some(i64::from(*is_set)),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(round)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads a finite number.
pub(super) fn fraction(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Bool(is_set) => f64::from(u8::from(*is_set)),
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    number.is_finite().then_some(number)
}

/// The number, if it is within the range.
pub(super) fn within(number: i64, range: RangeInclusive<i32>) -> Option<i32> {
    i32::try_from(number).ok().filter(|number| range.contains(number))
}

/// The nearest number that is not negative and has 32 bits.
pub(super) fn clamp(number: i64) -> i32 {
    i32::try_from(number.clamp(0, i64::from(i32::MAX))).expect("it was clamped to 32 bits")
}

/// The nearest integer, half away from zero.
#[expect(clippy::cast_possible_truncation, reason = "what is beyond 64 bits becomes their end")]
pub(super) fn round(number: f64) -> i64 {
    number.round() as i64
}

/// The nearest number of single precision; what is no number becomes 0.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(super) fn single(number: f64) -> f32 {
    let single = number as f32;
    if single.is_finite() { single } else { 0.0 }
}

/// Bytes as mebibytes.
#[expect(clippy::cast_precision_loss, reason = "single precision is left in the end")]
pub(super) fn mebibytes(bytes: i64) -> f32 {
    single(bytes as f64 / MEBIBYTE)
}

/// How many bytes a mebibyte has.
pub(super) const MEBIBYTE: f64 = 1_048_576.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_are_read_leniently() {
        for (value, expected) in [
            (json!(3), Some(3)),
            (json!(-3), Some(-3)),
            (json!(10.7), Some(11)),
            (json!(70.6), Some(71)),
            (json!(1.185_133_854_907_277_6), Some(1)),
            (json!(0.5), Some(1)),
            (json!(1.5), Some(2)),
            (json!(2.5), Some(3)),
            (json!(-2.5), Some(-3)),
            (json!(0.0), Some(0)),
            (json!(1e300), Some(i64::MAX)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!(true), Some(1)),
            (json!(false), Some(0)),
            (json!("1"), Some(1)),
            (json!(" -7 "), Some(-7)),
            (json!("1.5"), None),
            (json!("abc"), None),
            (json!(""), None),
            (json!(null), None),
            (json!([1]), None),
            (json!({}), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }

    #[test]
    fn fractions_are_finite() {
        for (value, expected) in [
            (json!(70.6), Some(70.6)),
            (json!(100), Some(100.0)),
            (json!("50.5"), Some(50.5)),
            (json!(true), Some(1.0)),
            (json!("nan"), None),
            (json!("inf"), None),
            (json!("x"), None),
            (json!([]), None),
        ] {
            assert_eq!(fraction(&value), expected, "{value}");
        }
    }

    #[test]
    fn fractions_are_written_in_single_precision() {
        for (number, expected) in
            [(29.969_999_313_354_492, "29.97"), (25.0, "25.0"), (0.0, "0.0"), (f64::NAN, "0.0"), (1e300, "0.0")]
        {
            assert_eq!(serde_json::to_string(&single(number)).unwrap(), expected);
        }
        assert_eq!(serde_json::to_string(&mebibytes(3_152_740)).unwrap(), "3.0066872");
    }
}
