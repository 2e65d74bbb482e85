//! One reading: a chain of pages over what is left of a slice, and what its pages tell about themselves.

use std::collections::HashSet;

use super::super::plan::Job;
use crate::exotel::{CallsPage, NextPage, Row};
use crate::model::WallTime;

/// Pages after which a reading starts anew from where it is, with a fresh cursor.
const PAGES_A_CURSOR: u32 = 500;

/// A reading under way.
pub(super) struct Reading {
    pub(super) job: Job,
    /// Creation time of the newest row so far.
    pub(super) last: WallTime,
    /// Where the cursor was fresh.
    pub(super) anchor: WallTime,
    /// Whether rows came in order: only then is everything before `last` known to be read.
    pub(super) ordered: bool,
    /// Rows of the filter by Exotel's count, and how many came.
    pub(super) total: u64,
    pub(super) rows: u64,
    /// Cursors that were followed, to notice a loop.
    cursors: HashSet<u64>,
    /// Pages since the cursor was fresh.
    pages: u32,
    /// Rows that the first page of this cursor promised, and how many came.
    promised: Option<u64>,
    came: u64,
    /// Where the list ended before it should, and how many rows were missing there.
    ended_early: Option<(WallTime, u64)>,
}

/// How a reading goes on after a page.
pub(super) enum Onward {
    /// Everything of it is read.
    Done,
    /// Everything that Exotel lists is read; so many rows more it counts, and shows to nobody who asks.
    Short(u64),
    /// With the next page.
    Next(NextPage),
    /// With a fresh cursor from the anchor.
    Afresh,
    /// It cannot go on; the rest is read on the next run.
    Stop(Stop),
}

/// Why a reading cannot go on.
pub(super) enum Stop {
    /// The same cursor came again, and a fresh one did not help.
    Circle,
    /// One second holds more rows than can be followed.
    Crowded,
    /// Exotel ended the list, twice at the same place, before all the rows came that it had counted, and
    /// counted another number of them each time.
    EndedEarly { came: u64, promised: u64 },
}

impl Reading {
    pub(super) fn new(job: Job) -> Self {
        Self {
            job,
            last: job.window.from,
            anchor: job.window.from,
            ordered: true,
            total: 0,
            rows: 0,
            cursors: HashSet::new(),
            pages: 0,
            promised: None,
            came: 0,
            ended_early: None,
        }
    }

    /// Notes a page, and says how to go on once it is stored.
    pub(super) fn take(&mut self, page: &CallsPage) -> Onward {
        if self.pages == 0 {
            self.promised = page.total;
        }
        self.pages += 1;
        if self.total == 0 {
            self.total = page.total.unwrap_or(0);
        }
        self.rows += page.rows.len() as u64;
        self.came += page.rows.len() as u64;
        for row in &page.rows {
            if let Row::Call(call) = row {
                self.ordered &= call.created >= self.last;
                self.last = self.last.max(call.created);
            }
        }
        // Rows beyond the slice belong to the half that was split off.
        if self.ordered && self.last >= self.job.window.to {
            return Onward::Done;
        }
        let Some(next) = page.next.clone() else { return self.at_the_end() };
        let looped = !self.cursors.insert(xxhash_rust::xxh3::xxh3_64(next.as_str().as_bytes()));
        if !looped && self.pages < PAGES_A_CURSOR {
            return Onward::Next(next);
        }
        // A fresh cursor from where we are: a window that is too long is split, not cut.
        if self.ordered && self.last > self.anchor {
            self.afresh();
            Onward::Afresh
        } else if looped {
            Onward::Stop(Stop::Circle)
        } else if self.pages >= 20 * PAGES_A_CURSOR {
            Onward::Stop(Stop::Crowded)
        } else {
            Onward::Next(next)
        }
    }

    /// A list that ends before the rows came that its first page counted is asked for once more from its
    /// last second on: the rest may be there, or Exotel's count may have changed. If list and count say
    /// the same again, the count is taken to be wrong, as it may be; the audit asks once more later.
    fn at_the_end(&mut self) -> Onward {
        let (came, Some(promised)) = (self.came, self.promised) else { return Onward::Done };
        if came >= promised {
            return Onward::Done;
        }
        let missing = promised - came;
        match self.ended_early.replace((self.last, missing)) {
            Some((last, before)) if last == self.last => {
                if before == missing {
                    Onward::Short(missing)
                } else {
                    Onward::Stop(Stop::EndedEarly { came, promised })
                }
            }
            _ => {
                self.afresh();
                Onward::Afresh
            }
        }
    }

    fn afresh(&mut self) {
        if self.ordered {
            self.anchor = self.last;
        }
        self.cursors.clear();
        self.pages = 0;
        self.came = 0;
    }
}

impl Stop {
    /// What happened, for the run's record.
    pub(super) fn message(&self, anchor: WallTime) -> String {
        let what = match self {
            Self::Circle => "Exotel's cursor goes in circles".to_owned(),
            Self::Crowded => "a second holds too many rows".to_owned(),
            Self::EndedEarly { came, promised } => {
                format!("Exotel's list ended after {came} of {promised} rows")
            }
        };
        format!(
            "{what} in the calls created from {anchor} on; the rest of the window is read on the next run"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exotel::{Priority, Window};
    use crate::model::{Observation, Sid, Status};

    fn reading() -> Reading {
        let window = Window { from: WallTime(0), to: WallTime(1_000) };
        Reading::new(Job { slice: 0, window, duration: None, priority: Priority::Sync })
    }

    fn page(times: &[i64], total: Option<u64>, next: Option<&str>) -> CallsPage {
        let row = |at: &i64| {
            let sid = Sid::parse(&format!("c{at}")).expect("a sid");
            Row::Call(Box::new(Observation::new(sid, WallTime(*at), Status::Completed)))
        };
        let next = next.map(|cursor| NextPage(format!("/v1/Accounts/acme/Calls.json?After={cursor}")));
        CallsPage { rows: times.iter().map(row).collect(), total, next }
    }

    #[test]
    fn a_list_that_ends_with_all_its_rows_is_done() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[1, 2], Some(3), Some("a"))), Onward::Next(_)));
        assert!(matches!(reading.take(&page(&[3], Some(1), None)), Onward::Done));
    }

    #[test]
    fn a_list_without_a_count_is_done_when_it_ends() {
        assert!(matches!(reading().take(&page(&[1], None, None)), Onward::Done));
    }

    #[test]
    fn a_list_that_ends_early_is_asked_for_once_more_from_its_last_second() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[1, 7], Some(200), None)), Onward::Afresh));
        assert_eq!(reading.anchor, WallTime(7));
        // The rest is there now: the count of the new list decides.
        assert!(matches!(reading.take(&page(&[7, 9], Some(2), None)), Onward::Done));
    }

    #[test]
    fn a_list_that_ends_early_twice_with_the_same_shortfall_is_read() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[1, 7], Some(3), None)), Onward::Afresh));
        assert!(matches!(reading.take(&page(&[7], Some(2), None)), Onward::Short(1)));
    }

    #[test]
    fn a_count_without_any_row_does_not_hold_up_a_reading() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[], Some(1), None)), Onward::Afresh));
        assert_eq!(reading.anchor, WallTime(0), "the whole window is asked for again");
        assert!(matches!(reading.take(&page(&[], Some(1), None)), Onward::Short(1)));
    }

    #[test]
    fn a_list_that_ends_early_twice_at_one_place_under_another_count_is_not_done() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[1, 7], Some(200), None)), Onward::Afresh));
        let Onward::Stop(stop) = reading.take(&page(&[7], Some(150), None)) else {
            panic!("it must not count as read");
        };
        assert!(matches!(stop, Stop::EndedEarly { came: 1, promised: 150 }));
        assert!(stop.message(WallTime(7)).contains("1 of 150 rows"));
    }

    #[test]
    fn an_early_end_that_moves_on_is_followed() {
        let mut reading = reading();
        for (times, total) in [(&[1, 5][..], 9), (&[5, 8], 7), (&[8, 11], 4)] {
            assert!(matches!(reading.take(&page(times, Some(total), None)), Onward::Afresh));
        }
        assert!(matches!(reading.take(&page(&[11, 12], Some(2), None)), Onward::Done));
    }

    #[test]
    fn a_cursor_that_comes_again_is_replaced_while_there_is_progress() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[1, 2], None, Some("a"))), Onward::Next(_)));
        assert!(matches!(reading.take(&page(&[3], None, Some("a"))), Onward::Afresh));
        assert_eq!(reading.anchor, WallTime(3));
        assert!(matches!(reading.take(&page(&[3], None, Some("b"))), Onward::Next(_)));
        assert!(matches!(reading.take(&page(&[3], None, Some("b"))), Onward::Stop(Stop::Circle)));
    }

    #[test]
    fn rows_beyond_the_slice_end_the_reading() {
        let mut reading = reading();
        assert!(matches!(reading.take(&page(&[1, 1_000], Some(500), Some("a"))), Onward::Done));
    }
}
