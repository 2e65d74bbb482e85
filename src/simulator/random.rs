//! Chance that can be repeated: every draw follows from the seed, a stream and a number.
//!
//! Nothing here depends on when or how often the simulator is asked, so the same options give the
//! same calls whatever the client does.

/// The odd constant by which `splitmix64` steps.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a sequence of draws is for; sequences of different streams do not influence one another.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Stream {
    /// How many calls begin in a second.
    Arrivals = 1,
    /// What becomes of a call.
    Fate,
    /// Numbers and texts of a call.
    Face,
    /// When the recording of a call appears.
    Recording,
    /// Whether a row is sent twice.
    Doubles,
    /// Which request goes wrong, and how.
    Faults,
    /// How long an answer takes.
    Latency,
    /// The second half of a Sid.
    Sid,
    /// When an outage begins, and what is out.
    Outages,
    /// Which callbacks about a call are lost, late or doubled, and how they look.
    Callbacks,
    /// The same for the calls of the flow.
    Flow,
    /// The same for heartbeats.
    Heartbeats,
    /// How many messages are sent in a second.
    Messages,
    /// What becomes of a message.
    Message,
    /// The same as for calls for the reports of a message.
    Reports,
    /// Sids of messages.
    MessageSid,
    /// Which versions of the call API know a call.
    Newer,
}

/// A sequence of draws.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence of `stream` for the item `n`.
    pub(super) fn new(seed: u64, stream: Stream, n: u64) -> Self {
        Self(mix(mix(seed ^ (stream as u64).wrapping_mul(STEP)) ^ n))
    }

    /// Any 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// At least 0, below 1.
    pub(super) fn unit(&mut self) -> f64 {
        // 53 bits are all that an f64 holds.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// At least 0, below `n`; 0 for an `n` of 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(n);
        u64::try_from(product >> 64).expect("the upper half of a 128-bit product fits 64 bits")
    }

    /// Evenly between `from` and `to`.
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + self.unit() * (to - from).max(0.0)
    }

    /// One of several, each with its weight; 0 if all weights are 0.
    pub(super) fn pick(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        for (n, weight) in weights.enumerate() {
            if left < weight {
                return n;
            }
            left -= weight;
        }
        0
    }

    /// Normally distributed with mean 0 and deviation 1 (Box-Muller).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How many events of a Poisson process with this mean happen.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        // Above this mean the product below takes long and the normal curve is as good.
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let floor = (-mean).exp();
        let (mut n, mut product) = (0, self.unit());
        while product > floor {
            n += 1;
            product *= self.unit();
        }
        n
    }
}

/// A bijection of 64 bits without visible pattern (the finalizer of `splitmix64`).
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What [`mix`] made of a number, taken back.
pub(super) fn unmix(mut z: u64) -> u64 {
    z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(0x3196_42B2_D24D_8EC3);
    z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(0x96DE_1B17_3F11_9089);
    z ^ (z >> 30) ^ (z >> 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_can_be_taken_back() {
        for n in [0, 1, 2, 77, u64::MAX, 0x8000_0000_0000_0000] {
            assert_eq!(unmix(mix(n)), n);
        }
    }

    #[test]
    fn draws_repeat_with_the_seed_and_differ_without() {
        let draw = |seed, stream, n| Dice::new(seed, stream, n).bits();
        assert_eq!(draw(1, Stream::Fate, 5), draw(1, Stream::Fate, 5));
        assert_ne!(draw(1, Stream::Fate, 5), draw(2, Stream::Fate, 5));
        assert_ne!(draw(1, Stream::Fate, 5), draw(1, Stream::Face, 5));
        assert_ne!(draw(1, Stream::Fate, 5), draw(1, Stream::Fate, 6));
    }

    #[test]
    fn poisson_has_its_mean_below_and_above_the_change_of_method() {
        for mean in [0.5, 12.0, 300.0] {
            let total: u64 = (0..4000).map(|n| Dice::new(9, Stream::Arrivals, n).poisson(mean)).sum();
            let seen = total as f64 / 4000.0;
            assert!((seen / mean - 1.0).abs() < 0.05, "{seen} for {mean}");
        }
        assert_eq!(Dice::new(9, Stream::Arrivals, 1).poisson(0.0), 0);
    }

    #[test]
    fn weights_are_kept() {
        let mut seen = [0_u32; 3];
        for n in 0..9000 {
            seen[Dice::new(3, Stream::Fate, n).pick([1.0, 0.0, 2.0].into_iter())] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((2700..3300).contains(&seen[0]), "{seen:?}");
    }
}
