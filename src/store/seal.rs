//! Values with a checksum over themselves and their place: a flipped bit, or a value that stands under
//! another key than it was written for, is an error and never data.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::Error;

/// Bytes of the checksum at the end of a value.
const CHECKSUM: usize = 4;

/// A number with its checksum.
pub(super) type SealedNumber = [u8; 8 + CHECKSUM];

/// Encodes a structure for the row with this key of this table.
pub(super) fn seal<T: serde::Serialize>(table: &str, key: &[u8], value: &T) -> Vec<u8> {
    let mut bytes = postcard::to_allocvec(value).expect("plain structures can be encoded");
    let sum = checksum(table, key, &bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// Reads what [`seal`] wrote.
///
/// # Errors
/// [`Error::Damaged`] if the checksum does not fit.
pub(super) fn unseal<T: serde::de::DeserializeOwned>(
    table: &str,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, Error> {
    Ok(postcard::from_bytes(unseal_bytes(table, key, bytes)?)?)
}

/// Puts a checksum on bytes.
pub(super) fn seal_bytes(table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = value.to_vec();
    bytes.extend_from_slice(&checksum(table, key, value));
    bytes
}

/// Reads what [`seal_bytes`] wrote.
///
/// # Errors
/// [`Error::Damaged`] if the checksum does not fit.
pub(super) fn unseal_bytes<'a>(table: &str, key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], Error> {
    let damaged = || Error::Damaged(format!("a record of {table} does not fit its checksum"));
    let split = bytes.len().checked_sub(CHECKSUM).ok_or_else(damaged)?;
    let (value, sum) = bytes.split_at(split);
    if checksum(table, key, value) == sum { Ok(value) } else { Err(damaged()) }
}

/// Puts a checksum on a number.
pub(super) fn seal_number(table: &str, key: &[u8], number: u64) -> SealedNumber {
    let mut sealed = [0; 8 + CHECKSUM];
    sealed.copy_from_slice(&seal_bytes(table, key, &number.to_le_bytes()));
    sealed
}

/// Reads what [`seal_number`] wrote.
///
/// # Errors
/// [`Error::Damaged`] if the checksum does not fit.
pub(super) fn unseal_number(table: &str, key: &[u8], bytes: &[u8]) -> Result<u64, Error> {
    let number = unseal_bytes(table, key, bytes)?.try_into();
    Ok(u64::from_le_bytes(number.map_err(|_| Error::Damaged(format!("a number of {table} is none")))?))
}

fn checksum(table: &str, key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    sum_of(&[table.as_bytes(), &[0], key, &[0], value])
}

/// The first bytes of the hash of some bytes in a row. Nearly all of them are few: put together first, they are hashed
/// several times faster than by a hasher that takes them one by one, whose state alone is half a kilobyte.
pub(super) fn sum_of(parts: &[&[u8]]) -> [u8; CHECKSUM] {
    let mut few = [0; 256];
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let hash = if length <= few.len() {
        let mut filled = 0;
        for part in parts {
            few[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        xxh3_64(&few[..filled])
    } else {
        let mut hasher = Xxh3::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.digest()
    };
    let sum = hash.to_le_bytes();
    [sum[0], sum[1], sum[2], sum[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_and_many_have_the_sum_of_one_hasher() {
        for length in [0, 1, 17, 100, 254, 255, 256, 257, 1_000, 5_000] {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 % 251) as u8).collect();
            let (head, tail) = bytes.split_at(length / 3);
            let mut hasher = Xxh3::new();
            hasher.update(&bytes);
            assert_eq!(sum_of(&[head, tail, &[]]), hasher.digest().to_le_bytes()[..CHECKSUM], "{length}");
        }
    }

    #[test]
    fn what_is_sealed_is_read_back_under_its_own_key_alone() {
        let sealed = seal("runs", &[1, 2], &(7_u32, "text".to_owned()));
        assert_eq!(unseal::<(u32, String)>("runs", &[1, 2], &sealed).expect("sound"), (7, "text".into()));
        assert!(unseal::<(u32, String)>("runs", &[1, 3], &sealed).is_err());
        assert!(unseal::<(u32, String)>("hours", &[1, 2], &sealed).is_err());
        assert!(unseal::<(u32, String)>("runs", &[1, 2], &[]).is_err());
        for place in 0..sealed.len() * 8 {
            let mut bytes = sealed.clone();
            bytes[place / 8] ^= 1 << (place % 8);
            assert!(unseal::<(u32, String)>("runs", &[1, 2], &bytes).is_err(), "bit {place}");
        }
    }

    #[test]
    fn numbers_are_sealed_likewise() {
        let sealed = seal_number("totals", &[9], u64::MAX);
        assert_eq!(unseal_number("totals", &[9], &sealed).expect("sound"), u64::MAX);
        assert!(unseal_number("totals", &[8], &sealed).is_err());
        assert!(unseal_number("totals", &[9], &seal_bytes("totals", &[9], &[1])).is_err());
    }
}
