//! What to ask for, and when: the plan of reading as a pure state machine over [`SyncState`].
//!
//! Exotel files a call under the time it began, shows it only after it ended, and completes it minutes
//! later. So creation time is cut into slices; each knows until when everything visible of it was read.
//!
//! - The **head** is read up to `now - lag`, so that most rows are settled when they are first read.
//! - A slice that was read is asked again only for what can have appeared since: rows whose Duration is
//!   at least `seen - to - slack`. While that bound is not above zero it is read whole.
//! - A slice is **final** once everything visible at `to + lookback` was read; the watermark passes it.
//! - Slices grow with their age (to 60 % of it), so that their number stays small.
//! - While the whole look-back is a few pages, it is simply read whole, without lag.
//!
//! The arithmetic stands in ARCHITECTURE.md.

use crate::exotel::{Priority, Window};
use crate::model::{Pass, Slice, SyncState, WallTime};

/// Rows in the look-back up to which it is read whole on each tick: four pages.
pub const FEW_ROWS: u64 = 400;
/// The longest slice made at once: a day, well below Exotel's 31.
const LONGEST: i64 = 86_400;
/// Exotel keeps six months; what is older is not asked for.
pub const REACH: i64 = 180 * 86_400;

/// Settings of the plan, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Length of a tick.
    pub interval: i64,
    /// Longest time between a call's creation and its appearance.
    pub lookback: i64,
    /// How far behind now the head is read.
    pub lag: i64,
    /// How late a row's Duration may appear after the row could be seen.
    pub slack: i64,
}

/// How much of the look-back is read on a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All of it, up to now.
    Whole,
    /// Head and bands.
    Bands,
    /// Head and bands, the head up to now: somebody waits.
    Now,
}

/// A reading of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// The slice, by its first second.
    pub slice: i64,
    /// What is left to read of it.
    pub window: Window,
    /// Bounds of Duration, for a band.
    pub duration: Option<(u32, u32)>,
    /// Live, or a gap.
    pub priority: Priority,
}

impl Settings {
    /// Unit of an audit: an hour with the default look-back, shorter with a shorter one.
    pub fn audit_unit(&self) -> i64 {
        [3600, 1800, 900, 600, 300, 60, 30]
            .into_iter()
            .find(|unit| *unit <= self.lookback * 3 / 13)
            .unwrap_or(10)
    }

    /// How long after its end a unit is audited first.
    pub fn audit_after(&self) -> i64 {
        self.lookback + self.slack
    }

    fn chunk(&self) -> i64 {
        self.interval.max(self.lookback / 16).max(1)
    }
}

/// The state at an account's first start: the watermark stands a look-back before it.
pub fn first_state(first_start: WallTime, settings: &Settings) -> SyncState {
    let watermark = first_start.0 - settings.lookback;
    let unit = settings.audit_unit();
    let audited = watermark + (-watermark).rem_euclid(unit);
    SyncState { watermark, audited, audited_again: audited, ..SyncState::default() }
}

/// The state for an account of which nothing was read yet, when the time is known: its first start was noted
/// by our own clock, which may have been ahead.
pub fn known_time(state: &mut SyncState, first_start: WallTime, now: WallTime, settings: &Settings) {
    if state.slices.is_empty() && state.watermark == first_state(first_start, settings).watermark {
        let first = first_state(first_start.min(now), settings);
        let SyncState { watermark, audited, audited_again, .. } = first;
        *state = SyncState { watermark, audited, audited_again, ..state.clone() };
    }
}

/// It is earlier than the watermark: a clock is wrong, was wrong before, or the offset was corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeforeWatermark;

/// Prepares the state for a tick: drops what is final, extends the head, grows old slices.
///
/// # Errors
/// [`BeforeWatermark`], and the state is as it was: the watermark never goes back, so nothing can be read
/// until it is later than that. Audits find what was missed.
pub fn begin_tick(
    state: &mut SyncState,
    now: WallTime,
    settings: &Settings,
    mode: Mode,
) -> Result<(), BeforeWatermark> {
    if now < state.watermark() {
        return Err(BeforeWatermark);
    }
    let now = now.0;
    state.watermark = state.watermark().0;
    // A clock or an offset that was set back: what lies ahead of now was never read in earnest.
    state.slices.retain(|slice| slice.from < now);
    if let Some(last) = state.slices.last_mut() {
        last.to = last.to.min(now);
    }
    retire(state, now, settings);
    extend(state, now, settings, mode);
    match mode {
        Mode::Whole => gather(state, now, settings),
        Mode::Bands | Mode::Now => grow(state, now),
    }
    Ok(())
}

/// Extends the head while a run is under way, so that the newest calls do not wait for its end.
pub fn extend_head(state: &mut SyncState, now: WallTime, settings: &Settings) {
    extend(state, now.0, settings, Mode::Bands);
}

/// Removes slices, or the first part of one, that can no longer change.
fn retire(state: &mut SyncState, now: i64, settings: &Settings) {
    while let Some(first) = state.slices.first_mut() {
        let Some(seen) = first.seen else {
            // Exotel has forgotten what is older than six months: it cannot be read any more.
            let gone = now - REACH;
            if first.to <= gone {
                state.watermark = first.to;
                state.slices.remove(0);
                continue;
            }
            if first.from < gone && first.pass.is_none() {
                first.from = gone;
            }
            return;
        };
        let settled = seen - settings.lookback;
        if first.pass.is_some() || settled <= first.from {
            return;
        }
        if settled < first.to {
            first.from = settled;
            return;
        }
        state.watermark = first.to;
        state.slices.remove(0);
    }
}

/// Adds unread slices up to `now - lag`: short ones in the look-back, days before it.
fn extend(state: &mut SyncState, now: i64, settings: &Settings, mode: Mode) {
    let end = match mode {
        Mode::Bands => now - settings.lag,
        Mode::Whole | Mode::Now => now,
    };
    let mut from = state.slices.last().map_or(state.watermark, |s| s.to).max(now - REACH);
    if state.slices.is_empty() {
        state.watermark = state.watermark.max(from);
    }
    let live = now - settings.lookback;
    while from < end {
        let to = if from < live {
            (from + LONGEST).min(live.max(from + 1)).min(end)
        } else if mode == Mode::Whole {
            end
        } else {
            (from + settings.chunk()).min(end)
        };
        state.slices.push(Slice { from, to, seen: None, pass: None });
        from = to;
    }
}

/// Makes one slice of everything in the look-back.
fn gather(state: &mut SyncState, now: i64, settings: &Settings) {
    let live = now - settings.lookback - 4 * settings.interval;
    let Some(first) = state.slices.iter().position(|s| s.from >= live) else { return };
    // A gap that is being read goes on as it is.
    let busy = state.slices.iter().rposition(|s| s.seen.is_none() && s.pass.is_some()).map_or(0, |n| n + 1);
    let first = first.max(busy);
    if first >= state.slices.len() {
        return;
    }
    let from = state.slices[first].from;
    let Some(last) = state.slices.last().copied() else { return };
    // Everything in it is read from its beginning: a half-done reading of a part does not count.
    let seen = state.slices[first..].iter().map(|s| s.seen).min().flatten();
    state.slices.truncate(first);
    state.slices.push(Slice { from, to: last.to, seen, pass: None });
}

/// Joins neighbours that were read, while together they are not longer than 60 % of their age.
fn grow(state: &mut SyncState, now: i64) {
    let mut joined: Vec<Slice> = Vec::with_capacity(state.slices.len());
    for slice in state.slices.drain(..) {
        if let Some(before) = joined.last_mut()
            && let (Some(a), Some(b)) = (before.seen, slice.seen)
            && before.pass.is_none()
            && slice.pass.is_none()
            && (slice.to - before.from) * 5 <= (now - slice.to) * 3
        {
            before.to = slice.to;
            before.seen = Some(a.min(b));
            continue;
        }
        joined.push(slice);
    }
    state.slices = joined;
}

/// What is to be read now, newest first: every slice that is not final.
pub fn jobs(state: &SyncState, now: WallTime, settings: &Settings, mode: Mode) -> Vec<Job> {
    let live = now.0 - settings.lookback - 4 * settings.interval;
    state
        .slices
        .iter()
        .rev()
        .map(|slice| {
            let whole = mode == Mode::Whole && slice.from >= live;
            job(slice, now, settings, if whole { None } else { slice.seen })
        })
        .collect()
}

fn job(slice: &Slice, now: WallTime, settings: &Settings, seen: Option<i64>) -> Job {
    let from = slice.pass.map_or(slice.from, |pass| pass.at);
    let duration =
        seen.map(|seen| seen - slice.to - settings.slack).filter(|least| *least > 0).map(|least| {
            // Nothing that is visible can have lasted longer; ten minutes of grace for clocks that disagree.
            let most = now.0 - slice.from + 600;
            (seconds(least), seconds(most))
        });
    let gap = slice.seen.is_none() && slice.to <= now.0 - settings.lookback;
    Job {
        slice: slice.from,
        window: Window { from: WallTime(from), to: WallTime(slice.to) },
        duration,
        priority: if gap { Priority::Heal } else { Priority::Sync },
    }
}

fn seconds(value: i64) -> u32 {
    u32::try_from(value.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// A reading of a slice begins; one that was interrupted keeps the time at which it began.
pub fn begin_pass(state: &mut SyncState, slice: i64, now: WallTime) {
    if let Some(slice) = find(state, slice)
        && slice.pass.is_none()
    {
        slice.pass = Some(Pass { started: now.0, at: slice.from });
    }
}

/// Everything of the slice created before `at` is stored.
pub fn progress(state: &mut SyncState, slice: i64, at: WallTime) {
    if let Some(slice) = find(state, slice)
        && let Some(pass) = &mut slice.pass
    {
        pass.at = pass.at.max(at.0.min(slice.to));
    }
}

/// The reading reached the end of the slice. `now` bounds what can have been seen: a clock that ran ahead
/// must not make anything final that has not happened yet.
pub fn end_pass(state: &mut SyncState, slice: i64, now: WallTime) {
    let last = state.slices.last().map(|s| s.from);
    if let Some(found) = find(state, slice)
        && let Some(pass) = found.pass.take()
    {
        found.seen = Some(pass.started.min(now.0));
        if last == Some(slice) && found.to > now.0 {
            found.to = now.0.max(found.from);
        }
    }
    state.slices.retain(|s| s.to > s.from);
}

/// Cuts what is left of a slice in two, so that both halves can be read at once; gives the new one.
pub fn split(state: &mut SyncState, slice: i64) -> Option<i64> {
    let place = state.slices.iter().position(|s| s.from == slice)?;
    let left = state.slices[place];
    let at = left.pass.map_or(left.from, |pass| pass.at);
    let middle = at + (left.to - at) / 2;
    if left.seen.is_some() || middle - at < 2 || left.to - middle < 2 {
        return None;
    }
    state.slices[place].to = middle;
    state.slices.insert(place + 1, Slice { from: middle, to: left.to, seen: None, pass: None });
    Some(middle)
}

fn find(state: &mut SyncState, slice: i64) -> Option<&mut Slice> {
    state.slices.iter_mut().find(|s| s.from == slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { interval: 900, lookback: 15_600, lag: 1_200, slack: 900 };
    const START: WallTime = WallTime(1_772_500_000);

    fn read_all(state: &mut SyncState, now: WallTime, mode: Mode) -> Vec<Job> {
        begin_tick(state, now, &SETTINGS, mode).unwrap();
        let jobs = jobs(state, now, &SETTINGS, mode);
        for job in &jobs {
            begin_pass(state, job.slice, now);
            end_pass(state, job.slice, now);
        }
        jobs
    }

    fn check(state: &SyncState) {
        for pair in state.slices.windows(2) {
            assert_eq!(pair[0].to, pair[1].from, "slices are contiguous: {:?}", state.slices);
        }
        assert!(state.slices.iter().all(|s| s.from < s.to), "no slice is empty");
    }

    #[test]
    fn a_steady_tick_asks_for_the_head_and_a_few_bands() {
        let mut state = first_state(START, &SETTINGS);
        let mut count = 0;
        for tick in 0..200 {
            let asked = read_all(&mut state, START + tick * 900, Mode::Bands);
            check(&state);
            count = asked.len();
            if tick > 40 {
                assert!(asked[0].duration.is_none(), "the head is read whole");
                assert!(asked[1..].iter().all(|j| j.duration.is_some()), "the rest in bands");
            }
        }
        assert!((4..=10).contains(&count), "{count} requests at least a tick");
    }

    /// Every call, however long, is asked for by some job after it became visible.
    #[test]
    fn no_call_is_missed_whatever_its_length_and_its_delay() {
        for mode in [Mode::Bands, Mode::Whole, Mode::Now] {
            let mut state = first_state(START, &SETTINGS);
            // (created, duration, visible, duration known)
            let calls: Vec<(i64, i64, i64)> = (0..3_000)
                .map(|n| {
                    let created = START.0 + n * 29;
                    let duration = (n * 7_919) % 14_400;
                    (created, duration, created + duration + 20 + (n % 880))
                })
                .collect();
            let mut found = vec![false; calls.len()];
            for tick in 0..140 {
                let now = START + tick * 900;
                for job in read_all(&mut state, now, mode) {
                    for (n, (created, duration, settled)) in calls.iter().enumerate() {
                        let inside = job.window.from.0 <= *created && *created < job.window.to.0;
                        // Without a band every visible row is given; with one, only those with a Duration.
                        let given = match job.duration {
                            None => created + duration + 20 <= now.0,
                            Some((least, most)) => {
                                *settled <= now.0 && (i64::from(least)..=i64::from(most)).contains(duration)
                            }
                        };
                        found[n] |= inside && given;
                    }
                }
                let watermark = state.watermark().0;
                for (n, (created, ..)) in calls.iter().enumerate() {
                    assert!(
                        found[n] || *created >= watermark,
                        "{mode:?}: call {n} is behind the watermark unread"
                    );
                }
            }
            assert!(state.watermark().0 > START.0 + 80_000, "{mode:?}: the watermark moves");
        }
    }

    #[test]
    fn after_a_long_downtime_the_newest_is_read_first_and_in_days() {
        let mut state = first_state(START, &SETTINGS);
        read_all(&mut state, START, Mode::Bands);
        let now = START + 10 * 86_400;
        begin_tick(&mut state, now, &SETTINGS, Mode::Bands).unwrap();
        check(&state);
        let jobs = jobs(&state, now, &SETTINGS, Mode::Bands);
        assert!(jobs.windows(2).all(|w| w[0].window.from > w[1].window.from), "newest first");
        assert_eq!(jobs[0].priority, Priority::Sync);
        assert!(jobs.iter().any(|j| j.priority == Priority::Heal), "the gap waits behind live work");
        assert!(jobs.iter().all(|j| j.window.to - j.window.from <= 86_400));
        assert!(state.head() <= START + 10, "the head is honest about the gap");
    }

    #[test]
    fn a_reading_resumes_where_it_was_and_the_watermark_waits_for_it() {
        let mut state = first_state(START, &SETTINGS);
        begin_tick(&mut state, START, &SETTINGS, Mode::Bands).unwrap();
        let oldest = state.slices[0];
        begin_pass(&mut state, oldest.from, START);
        progress(&mut state, oldest.from, WallTime(oldest.from + 100));
        progress(&mut state, oldest.from, WallTime(oldest.from + 50));
        let before = state.watermark();
        begin_tick(&mut state, START + 900, &SETTINGS, Mode::Bands).unwrap();
        assert_eq!(state.watermark(), before);
        let resumed = jobs(&state, START + 900, &SETTINGS, Mode::Bands);
        assert_eq!(resumed.last().map(|j| j.window.from), Some(WallTime(oldest.from + 100)));
    }

    #[test]
    fn a_clock_that_ran_ahead_makes_nothing_final() {
        let mut state = first_state(START, &SETTINGS);
        let ahead = START + 365 * 86_400;
        begin_tick(&mut state, ahead, &SETTINGS, Mode::Now).unwrap();
        let newest = jobs(&state, ahead, &SETTINGS, Mode::Now)[0];
        begin_pass(&mut state, newest.slice, ahead);
        end_pass(&mut state, newest.slice, START);
        check(&state);
        assert!(state.slices.iter().all(|s| s.seen.is_none_or(|seen| seen <= START.0)));
    }

    #[test]
    fn while_it_is_earlier_than_the_watermark_nothing_is_touched() {
        let mut state = first_state(START, &SETTINGS);
        for tick in 0..40 {
            read_all(&mut state, START + tick * 900, Mode::Bands);
        }
        let before = state.clone();
        for now in [START + -86_400, state.watermark() + -1] {
            for mode in [Mode::Bands, Mode::Whole, Mode::Now] {
                assert_eq!(begin_tick(&mut state, now, &SETTINGS, mode), Err(BeforeWatermark));
                assert_eq!(state, before);
            }
        }
        begin_tick(&mut state, START + 40 * 900, &SETTINGS, Mode::Bands).unwrap();
        assert!(state.watermark() >= before.watermark());
    }

    #[test]
    fn a_first_start_that_was_noted_by_a_clock_ahead_does_not_hold_up_reading() {
        let (ahead, state_of) = (START + 86_400, |start| first_state(start, &SETTINGS));
        let mut state = SyncState { details_inline: Some(false), ..state_of(ahead) };
        known_time(&mut state, ahead, START, &SETTINGS);
        assert_eq!(state, SyncState { details_inline: Some(false), ..state_of(START) });
        begin_tick(&mut state, START, &SETTINGS, Mode::Bands).unwrap();
        let begun = state.clone();
        known_time(&mut state, START, START + -86_400, &SETTINGS);
        assert_eq!(state, begun, "what was begun stays");
    }

    #[test]
    fn a_clock_that_is_set_back_within_the_look_back_leaves_the_watermark_where_it_is() {
        let mut state = first_state(START, &SETTINGS);
        for tick in 0..40 {
            read_all(&mut state, START + tick * 900, Mode::Bands);
        }
        let watermark = state.watermark();
        for back in [1, 900, 7_200] {
            read_all(&mut state, START + (40 * 900 - back), Mode::Bands);
            check(&state);
            assert!(state.watermark() >= watermark, "{back} s");
        }
    }

    #[test]
    fn a_slice_is_split_only_while_it_is_unread_and_long_enough() {
        let mut state = first_state(START, &SETTINGS);
        begin_tick(&mut state, START, &SETTINGS, Mode::Bands).unwrap();
        let first = state.slices[0].from;
        let new = split(&mut state, first).expect("a slice of 16 minutes can be split");
        check(&state);
        assert!(new > first);
        begin_pass(&mut state, first, START);
        end_pass(&mut state, first, START);
        assert_eq!(split(&mut state, first), None);
    }
}
