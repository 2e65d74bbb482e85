//! Writing and reading compact bytes: varints, texts, numbers as ten digits.

/// The bytes end early or hold something that no version of this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Appends compact values to a buffer.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// One byte.
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// LEB128.
    pub fn uint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Zigzag LEB128.
    pub fn int(&mut self, value: i64) {
        self.uint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Length and bytes.
    pub fn counted(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Length and bytes.
    pub fn text(&mut self, text: &str) {
        self.counted(text.as_bytes());
    }

    /// A phone number: five bytes for the forms Exotel uses, its text otherwise.
    pub fn number(&mut self, number: &str) {
        let packed = PREFIXES.iter().enumerate().find_map(|(class, prefix)| {
            let digits = number.strip_prefix(prefix)?;
            let fits = digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit());
            let value: u64 = if fits { digits.parse().ok()? } else { return None };
            Some(((class as u64 + 1) << 34) | value)
        });
        match packed {
            Some(value) => self.0.extend_from_slice(&value.to_be_bytes()[3..]),
            None => {
                self.byte(0);
                self.text(number);
            }
        }
    }
}

/// What stands before the ten digits; the class is the place in this list. Append only.
const PREFIXES: [&str; 4] = ["0", "+91", "", "91"];

/// Reads what [`Writer`] wrote.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        if self.0.len() < count {
            return Err(Malformed);
        }
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        Ok(head)
    }

    /// LEB128.
    pub fn uint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// LEB128 that must fit.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.uint()?).map_err(|_| Malformed)
    }

    /// Zigzag LEB128.
    pub fn int(&mut self) -> Result<i64, Malformed> {
        let value = self.uint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Length and bytes.
    pub fn counted(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.small::<usize>()?;
        self.bytes(length)
    }

    /// Length and bytes.
    pub fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.counted()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
    }

    /// Passes a text.
    pub fn skip_text(&mut self) -> Result<(), Malformed> {
        let length = self.small::<usize>()?;
        self.bytes(length).map(drop)
    }

    /// Passes a phone number.
    pub fn skip_number(&mut self) -> Result<(), Malformed> {
        match self.0.first().ok_or(Malformed)? {
            0 => {
                self.byte()?;
                self.skip_text()
            }
            _ => self.bytes(5).map(drop),
        }
    }

    /// A phone number.
    pub fn number(&mut self) -> Result<String, Malformed> {
        let first = *self.0.first().ok_or(Malformed)?;
        if first == 0 {
            self.byte()?;
            return self.text();
        }
        let mut wide = [0u8; 8];
        wide[3..].copy_from_slice(self.bytes(5)?);
        let value = u64::from_be_bytes(wide);
        let class = (value >> 34).checked_sub(1).ok_or(Malformed)?;
        let prefix = PREFIXES.get(class as usize).ok_or(Malformed)?;
        Ok(format!("{prefix}{:010}", value & ((1 << 34) - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_take_five_bytes_in_the_usual_forms() {
        for number in ["08000000011", "+918000000011", "8000000011", "918000000011", "00000000000"] {
            let mut w = Writer::default();
            w.number(number);
            assert_eq!(w.0.len(), 5, "{number}");
            assert_eq!(Reader(&w.0).number().as_deref(), Ok(number));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(a: u64, b: i64, t: String, n in "[0-9+a-z:]{0,14}") {
            let mut w = Writer::default();
            w.uint(a);
            w.int(b);
            w.text(&t);
            w.number(&n);
            let mut r = Reader(&w.0);
            prop_assert_eq!(r.uint(), Ok(a));
            prop_assert_eq!(r.int(), Ok(b));
            prop_assert_eq!(r.text(), Ok(t));
            prop_assert_eq!(r.number(), Ok(n));
            prop_assert!(r.0.is_empty());
            let mut r = Reader(&w.0);
            prop_assert!(r.uint().is_ok() && r.int().is_ok());
            prop_assert_eq!((r.skip_text(), r.skip_number()), (Ok(()), Ok(())));
            prop_assert!(r.0.is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut r = Reader(&bytes);
            while !r.0.is_empty() {
                if r.number().is_err() && r.int().is_err() {
                    break;
                }
            }
        }
    }
}
