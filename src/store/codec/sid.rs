//! Sids as bytes: short in the forms seen, their text in any other.

use xxhash_rust::xxh3::xxh3_64;

use crate::model::{AccountId, Sid};
use crate::store::bytes::Malformed;

/// A hash that stands for a Sid within the store; 64 bits, so that two of 50 million calls share one
/// with a probability of one in fifteen thousand. A look-up always checks the record behind it.
pub fn sid_hash(account: AccountId, sid: &Sid) -> u64 {
    let (account, sid) = (account.0.to_be_bytes(), sid.as_str().as_bytes());
    // Every Sid seen is 32 bytes long: no need to ask the allocator.
    let mut short = [0; 64];
    match short.get_mut(..2 + sid.len()) {
        Some(bytes) => {
            bytes[..2].copy_from_slice(&account);
            bytes[2..].copy_from_slice(sid);
            xxh3_64(bytes)
        }
        None => xxh3_64(&[&account, sid].concat()),
    }
}

const RAW_SID: u8 = 0;
const HEX_SID: u8 = 1;
const DATED_SID: u8 = 2;

/// 32 hex digits take 16 bytes; 28 of them and four of base 36, as real ones have, 17.
pub(in crate::store) fn push_sid(out: &mut Vec<u8>, sid: &Sid) {
    let text = sid.as_str().as_bytes();
    if let Ok(text) = <&[u8; 32]>::try_from(text) {
        let mut head = [0; 14];
        let mut tail = [0; 2];
        if unhex(&text[..28], &mut head) {
            if unhex(&text[28..], &mut tail) {
                out.push(HEX_SID);
                out.extend_from_slice(&head);
                out.extend_from_slice(&tail);
                return;
            }
            if let Some(tail) = base36(&text[28..]) {
                out.push(DATED_SID);
                out.extend_from_slice(&head);
                out.extend_from_slice(&tail.to_be_bytes()[1..]);
                return;
            }
        }
    }
    out.push(RAW_SID);
    out.extend_from_slice(text);
}

pub(in crate::store) fn read_sid(bytes: &[u8]) -> Result<Sid, Malformed> {
    let (tag, rest) = bytes.split_first().ok_or(Malformed)?;
    let text = match (*tag, rest.len()) {
        (RAW_SID, _) => String::from_utf8(rest.to_vec()).map_err(|_| Malformed)?,
        (HEX_SID, 16) => hex(rest),
        (DATED_SID, 17) => {
            let mut n = u32::from_be_bytes([0, rest[14], rest[15], rest[16]]);
            let mut tail = [0u8; 4];
            for place in tail.iter_mut().rev() {
                *place = b"0123456789abcdefghijklmnopqrstuvwxyz"[(n % 36) as usize];
                n /= 36;
            }
            let mut text = hex(&rest[..14]);
            text.extend(tail.iter().map(|b| char::from(*b)));
            text
        }
        _ => return Err(Malformed),
    };
    Sid::parse(&text).ok_or(Malformed)
}

/// Whether these are hex digits in lower case, two for each byte of `out`, which then holds them.
fn unhex(text: &[u8], out: &mut [u8]) -> bool {
    const NONE: u8 = 16;
    let nibble = |b: u8| match b {
        b'0'..=b'9' => b - b'0',
        b'a'..=b'f' => b - b'a' + 10,
        _ => NONE,
    };
    let mut worst = 0;
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        let (high, low) = (nibble(pair[0]), nibble(pair[1]));
        worst = worst.max(high).max(low);
        *byte = (high << 4) | (low & 15);
    }
    worst < NONE
}

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn base36(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'z' => b - b'a' + 10,
            _ => return None,
        };
        Some(n * 36 + u32::from(digit))
    })
}
