//! Decimal numbers of any length, compared digit by digit: a float takes neighbours among long ids for one number.

use std::cmp::Ordering;

/// A number as `Numeric…` operators compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    is_below_zero: bool,
    /// Without zeros in front.
    whole: Box<str>,
    /// Without zeros at the end.
    fraction: Box<str>,
}

impl Decimal {
    /// Reads digits with a point among or behind them, and a minus in front of them: no exponents, infinities or other words that a float
    /// parser would take.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_below_zero: is_negative && !is_zero, whole: whole.into(), fraction: fraction.into() })
    }

    /// How far from zero it is, beside another one.
    fn cmp_size(&self, other: &Self) -> Ordering {
        let by_length = self.whole.len().cmp(&other.whole.len());
        by_length.then_with(|| self.whole.cmp(&other.whole)).then_with(|| self.fraction.cmp(&other.fraction))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_below_zero, other.is_below_zero) {
            (false, false) => self.cmp_size(other),
            (true, true) => other.cmp_size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_stand_in_their_order_however_they_are_written() {
        let rising =
            ["-10", "-9.5", "-9.45", "-0.1", "0", "0.04", "0.4", "1", "1.05", "1.5", "9", "10", "100"];
        for (at, one) in rising.iter().enumerate() {
            for (other_at, other) in rising.iter().enumerate() {
                assert_eq!(decimal(one).cmp(&decimal(other)), at.cmp(&other_at), "{one} {other}");
            }
        }
        for (one, same) in
            [("7.50", "7.5"), ("007", "7"), ("7.", "7.0"), ("-0", "0"), ("-0.0", "0"), ("0.0", "000")]
        {
            assert_eq!(decimal(one), decimal(same), "{one} {same}");
        }
        for bad in ["", "-", ".", ".5", "-.5", "+1", "1e3", "NaN", "inf", "1.2.3", "1 ", " 1", "1,5", "١"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn immunity_19_long_ids_that_differ_in_their_last_digit_are_two() {
        assert!(decimal("9007199254740993") > decimal("9007199254740992"));
        assert_ne!(decimal("1234567890123456789"), decimal("1234567890123456788"));
        assert!(decimal("0.30000000000000000001") > decimal("0.3"));
    }

    proptest! {
        #[test]
        fn whole_numbers_are_ordered_as_integers_are(one: i64, other: i64) {
            prop_assert_eq!(decimal(&one.to_string()).cmp(&decimal(&other.to_string())), one.cmp(&other));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9.e+ ]{0,12}") {
            let is_one = Decimal::parse(&text).is_some();
            let is_plain = !text.contains(['e', '+', ' ']) && text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
            prop_assert_eq!(is_one, is_plain && text.parse::<f64>().is_ok());
        }
    }
}
