//! The persisted numbers as they are stored: one row for each ExoPhone.
//!
//! A page of calls changes hundreds of numbers, which all but a few of its account's ExoPhones share. As rows
//! of their own they would dirty each leaf of their table with every commit; packed, forty ExoPhones take
//! two or three. Numbers without such a label are in the row of [`ExoPhoneId::UNKNOWN`].
//!
//! [`ExoPhoneId::UNKNOWN`]: crate::model::ExoPhoneId::UNKNOWN

use std::collections::BTreeMap;

use redb::ReadableTable;

use super::Error;
use super::bytes::{Malformed, Reader, Writer};
use super::seal::{seal_bytes, unseal_bytes};
use crate::model::series::Family;

/// One row: number by family and codes, ascending.
type Row = Vec<(u32, u64)>;

/// Every number of a table, by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers(BTreeMap<u32, Row>);

/// Row and place of a [`crate::model::Series`], by its key.
fn place(series: u64) -> (u32, u32) {
    let part = |shift: u32| (series >> shift) & 0xffff;
    let row = (part(40) << 16) | part(16);
    let place = ((part(32) & 0xff) << 16) | part(0);
    (row as u32, place as u32)
}

/// What [`place`] came from.
fn series(row: u32, place: u32) -> u64 {
    let (row, place) = (u64::from(row), u64::from(place));
    ((row >> 16) << 40) | ((place >> 16) << 32) | ((row & 0xffff) << 16) | (place & 0xffff)
}

impl Numbers {
    /// Reads all of a table.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a row does not fit its checksum.
    pub(super) fn load(name: &str, table: &impl ReadableTable<u32, &'static [u8]>) -> Result<Self, Error> {
        let mut numbers = Self::default();
        for row in table.iter()? {
            let (key, value) = row?;
            let bytes = unseal_bytes(name, &key.value().to_be_bytes(), value.value())?;
            let row =
                read_row(bytes).map_err(|Malformed| Error::Damaged(format!("a row of {name} is none")))?;
            numbers.0.insert(key.value(), row);
        }
        Ok(numbers)
    }

    /// Every row as it is stored in the table of this name.
    pub(super) fn rows<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u32, Vec<u8>)> + 'a {
        self.0.iter().map(move |(key, row)| (*key, seal_bytes(name, &key.to_be_bytes(), &row_bytes(row))))
    }

    /// Every number with the key of its [`crate::model::Series`].
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0
            .iter()
            .flat_map(|(row, numbers)| numbers.iter().map(|(at, number)| (series(*row, *at), *number)))
    }

    /// Adds to a number and gives the sum. The row is taken from `held` at the first touch.
    pub(super) fn add(&mut self, held: &Self, series: u64, amount: u64) -> u64 {
        let (row, place) = place(series);
        let row = self.0.entry(row).or_insert_with(|| held.0.get(&row).cloned().unwrap_or_default());
        match row.binary_search_by_key(&place, |(at, _)| *at) {
            Ok(at) => {
                row[at].1 = row[at].1.saturating_add(amount);
                row[at].1
            }
            Err(at) => {
                row.insert(at, (place, amount));
                amount
            }
        }
    }

    /// Takes rows over.
    pub(super) fn replace(&mut self, rows: Self) {
        self.0.extend(rows.0);
    }

    /// Forgets a family's numbers; gives the rows that had any.
    pub(super) fn forget(&mut self, family: Family) -> Self {
        let mut changed = Self::default();
        for (key, row) in &mut self.0 {
            let before = row.len();
            row.retain(|(place, _)| place >> 16 != u32::from(family as u8));
            if row.len() < before {
                changed.0.insert(*key, row.clone());
            }
        }
        changed
    }
}

/// Differences of places and the numbers, as varints.
fn row_bytes(row: &Row) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(row.len() * 6));
    let mut last = 0;
    for (place, number) in row {
        w.uint(u64::from(place - last));
        w.uint(*number);
        last = *place;
    }
    w.0
}

fn read_row(bytes: &[u8]) -> Result<Row, Malformed> {
    let mut r = Reader(bytes);
    let mut row = Vec::new();
    let mut last = 0_u32;
    while !r.0.is_empty() {
        last = last.checked_add(r.small()?).ok_or(Malformed)?;
        row.push((last, r.uint()?));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::SUM;
    use crate::model::{AccountId, ExoPhoneId, Series};
    use proptest::prelude::*;

    #[test]
    fn a_number_is_found_where_its_series_says() {
        for family in Family::ALL {
            for exophone in [0, 1, 700, u16::MAX] {
                let key = Series {
                    account: AccountId(u16::MAX - 1),
                    family,
                    exophone: ExoPhoneId(exophone),
                    a: 3,
                    b: SUM,
                }
                .to_key();
                let (row, at) = place(key);
                assert_eq!(series(row, at), key);
                assert_eq!(row & 0xffff, u32::from(exophone));
            }
        }
    }

    #[test]
    fn sums_go_on_from_what_is_held_and_a_family_can_be_forgotten() {
        let account = AccountId(2);
        let key = |family, b| Series::new(account, family, 0, b).to_key();
        let mut held = Numbers::default();
        held.add(&Numbers::default(), key(Family::SettleDelay, 3), 7);
        held.add(&Numbers::default(), key(Family::SyncRuns, 0), u64::MAX - 1);
        let mut changed = Numbers::default();
        assert_eq!(changed.add(&held, key(Family::SettleDelay, 3), 2), 9);
        assert_eq!(changed.add(&held, key(Family::SettleDelay, 1), 4), 4);
        assert_eq!(changed.add(&held, key(Family::SyncRuns, 0), 5), u64::MAX);
        held.replace(changed);
        let all = [
            (key(Family::SyncRuns, 0), u64::MAX),
            (key(Family::SettleDelay, 1), 4),
            (key(Family::SettleDelay, 3), 9),
        ];
        assert_eq!(held.iter().collect::<Vec<_>>(), all);
        assert_eq!(held.forget(Family::Calls), Numbers::default());
        assert_eq!(held.forget(Family::SettleDelay), held);
        assert_eq!(held.iter().collect::<Vec<_>>(), all[..1]);
    }

    proptest! {
        #[test]
        fn whatever_is_packed_is_read_back(row: BTreeMap<u32, u64>) {
            let row: Row = row.into_iter().collect();
            prop_assert_eq!(read_row(&row_bytes(&row)), Ok(row));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            read_row(&bytes).ok();
        }
    }
}
