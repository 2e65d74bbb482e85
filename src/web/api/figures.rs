//! Shares and sums as answers show them.

/// `part` of `whole` in percent with two decimals; none of nothing.
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| two_decimals(part as f64 * 100.0 / whole as f64))
}

/// A share with four decimals; none of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 * 1e4 / whole as f64).round() / 1e4)
}

fn two_decimals(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Millionths as a number of whole units.
pub(super) fn money(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_decimals_and_nothing_has_none() {
        assert_eq!(percent(2, 3), Some(66.67));
        assert_eq!(percent(0, 3), Some(0.0));
        assert_eq!(percent(3, 3), Some(100.0));
        assert_eq!((percent(0, 0), ratio(0, 0)), (None, None));
        assert_eq!(ratio(1, 3), Some(0.3333));
    }
}
