//! What a row says beyond what we can read: kept, within bounds.

use serde_json::value::RawValue;

/// Most entries kept of one row.
const MAX_ENTRIES: usize = 32;

/// Most bytes kept of one row, names and values together.
const MAX_BYTES: usize = 4096;

/// Name of the entry that says how much was left out; sorts after every key of Exotel's.
pub(super) const LEFT_OUT: &str = "~left_out";

/// Collects names and raw JSON texts.
#[derive(Debug, Default)]
pub(super) struct Odd(Vec<(String, String)>);

impl Odd {
    /// Keeps one value under a name.
    pub(super) fn keep(&mut self, name: impl Into<String>, raw: &RawValue) {
        self.0.push((name.into(), raw.get().to_owned()));
    }

    /// What is kept, sorted by name and value; past the bounds an entry is left out and counted in a
    /// last entry, `("~left_out", "3")`.
    pub(super) fn finish(mut self) -> Vec<(String, String)> {
        if self.0.is_empty() {
            return self.0;
        }
        self.0.sort_unstable();
        let (mut count, mut bytes, mut left_out) = (0, 0, 0_usize);
        self.0.retain(|(name, raw)| {
            let size = name.len() + raw.len();
            let fits = count < MAX_ENTRIES && bytes + size <= MAX_BYTES;
            if fits {
                (count, bytes) = (count + 1, bytes + size);
            } else {
                left_out += 1;
            }
            fits
        });
        if left_out > 0 {
            self.0.push((LEFT_OUT.to_owned(), left_out.to_string()));
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_leave_out_what_is_too_much_and_say_so() {
        let mut odd = Odd::default();
        for n in 0..40 {
            let raw = RawValue::from_string(n.to_string()).unwrap();
            odd.keep(format!("Key{n:02}"), &raw);
        }
        let huge = RawValue::from_string(format!("\"{}\"", "x".repeat(5000))).unwrap();
        odd.keep("A", &huge);
        let kept = odd.finish();
        assert_eq!(kept.len(), 33);
        assert_eq!(kept[0], ("Key00".to_owned(), "0".to_owned()));
        assert_eq!(kept[32], (LEFT_OUT.to_owned(), "9".to_owned()));
    }
}
