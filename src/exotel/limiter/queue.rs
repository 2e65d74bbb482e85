//! Who waits, and who is next: by priority, but nobody for ever.

use std::collections::VecDeque;

use crate::exotel::Priority;

/// A class that waits gets at least every twentieth grant, 5 %.
const EVERY: i64 = 20;

/// Waiting requests, one line for each priority.
#[derive(Debug)]
pub(super) struct Queue<W> {
    lines: [Line<W>; Priority::ALL.len()],
    next_id: u64,
}

#[derive(Debug)]
struct Line<W> {
    waiting: VecDeque<(u64, W)>,
    /// Grants to others since this line was last served or began to wait.
    passed_over: i64,
}

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        Self { lines: std::array::from_fn(|_| Line { waiting: VecDeque::new(), passed_over: 0 }), next_id: 0 }
    }

    /// Puts one at the end of its line; the number takes it out again.
    pub(super) fn push(&mut self, priority: Priority, waiter: W) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let line = &mut self.lines[priority as usize];
        if line.waiting.is_empty() {
            line.passed_over = 0;
        }
        line.waiting.push_back((id, waiter));
        id
    }

    /// Takes out one that no longer waits; none if it was served.
    pub(super) fn remove(&mut self, priority: Priority, id: u64) -> Option<W> {
        let waiting = &mut self.lines[priority as usize].waiting;
        // Numbers rise along the line.
        let at = waiting.binary_search_by_key(&id, |(other, _)| *other).ok()?;
        waiting.remove(at).map(|(_, waiter)| waiter)
    }

    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(|line| line.waiting.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.waiting.is_empty())
    }

    /// Whether anybody waits of those that `which` names.
    pub(super) fn any(&self, which: impl Fn(Priority) -> bool) -> bool {
        Priority::ALL.iter().any(|p| which(*p) && !self.lines[*p as usize].waiting.is_empty())
    }

    /// Takes the next of those that `eligible` names.
    ///
    /// The first priority that waits, unless another one would come too late for its twentieth grant:
    /// each class has a deadline, and the sorted deadlines must stay feasible.
    pub(super) fn pop(&mut self, eligible: impl Fn(Priority) -> bool) -> Option<(Priority, W)> {
        let mut left: Vec<(i64, Priority)> = Priority::ALL
            .into_iter()
            .filter(|p| eligible(*p) && !self.lines[*p as usize].waiting.is_empty())
            .map(|p| (EVERY - self.lines[p as usize].passed_over, p))
            .collect();
        let first = left.first()?.1;
        left.sort();
        // The k-th deadline needs k + 1 grants before it; one more grant to the first must not break that.
        let pressed = (1..).zip(&left).any(|(needed, (left, _))| *left <= needed);
        let chosen = if pressed { left[0].1 } else { first };
        let waiter = self.lines[chosen as usize].waiting.pop_front()?.1;
        for priority in Priority::ALL {
            let line = &mut self.lines[priority as usize];
            line.passed_over = if priority == chosen { 0 } else { line.passed_over + 1 };
        }
        Some((chosen, waiter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_priority_goes_first_and_equals_in_order() {
        let mut queue = Queue::new();
        queue.push(Priority::Backfill, 1);
        queue.push(Priority::Sync, 2);
        queue.push(Priority::Sync, 3);
        let gone = queue.push(Priority::Health, 4);
        queue.push(Priority::Health, 5);
        queue.remove(Priority::Health, gone);
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop(|_| true)).map(|(_, w)| w).collect();
        assert_eq!(order, [5, 2, 3, 1]);
        assert!(queue.is_empty());
    }

    #[test]
    fn whoever_is_not_eligible_is_passed_over() {
        let mut queue = Queue::new();
        queue.push(Priority::Health, 1);
        queue.push(Priority::Sync, 2);
        assert_eq!(queue.pop(Priority::is_background), Some((Priority::Sync, 2)));
        assert_eq!(queue.pop(Priority::is_background), None);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn every_class_that_waits_gets_every_twentieth_grant_and_the_first_the_rest() {
        let mut queue = Queue::new();
        for priority in Priority::ALL {
            for _ in 0..2000 {
                queue.push(priority, ());
            }
        }
        let mut last = [0_usize; Priority::ALL.len()];
        let mut served = [0_usize; Priority::ALL.len()];
        for at in 1..=1400 {
            let (priority, ()) = queue.pop(|_| true).unwrap();
            assert!(
                at - last[priority as usize] <= 20,
                "{priority:?} waited from {} to {at}",
                last[priority as usize]
            );
            last[priority as usize] = at;
            served[priority as usize] += 1;
        }
        assert!(served[1..].iter().all(|n| *n >= 70), "{served:?}");
        assert!(served[0] >= 900, "precedence is kept: {served:?}");
    }
}
