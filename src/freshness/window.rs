//! A partition's last half minute: rates, and a verdict by Burrow's rules in Burrow's order.
//!
//! The rules are those of LinkedIn's Burrow (its wiki, "Consumer Lag Evaluation Rules"): a verdict over a window of
//! samples instead of a threshold on lag, so that a burst is no alarm and a stall is.

use std::collections::VecDeque;

use super::Moment;

/// Seconds that the window spans, with one sample a second.
const SPAN_S: usize = 30;

/// Where a partition stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: Moment,
    pub applied: u64,
    pub end: u64,
}

impl Sample {
    fn lag(&self) -> u64 {
        self.end.saturating_sub(self.applied)
    }
}

/// What a window of samples says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No sample has come for longer than the window spans: the watcher is gone.
    Stopped,
    /// `applied` went back: a rebuild.
    Rewound,
    CaughtUp,
    /// Behind, and `applied` has not moved.
    Stalled,
    /// Behind, and the lag has never fallen.
    Falling,
    /// Behind, and coming closer.
    CatchingUp,
}

/// The samples of one partition, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Window {
    samples: VecDeque<Sample>,
}

impl Window {
    pub fn push(&mut self, sample: Sample) {
        if self.samples.len() > SPAN_S {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// How much of the window is filled, 0 to 1.
    pub fn complete(&self) -> f64 {
        (self.samples.len().saturating_sub(1) as f64 / SPAN_S as f64).min(1.0)
    }

    fn ends(&self) -> Option<(&Sample, &Sample, f64)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.at.ms_since(first.at) as f64 / 1000.0;
        (seconds > 0.0).then_some((first, last, seconds))
    }

    /// Records applied a second over the window; 0 where it holds fewer than two samples.
    pub fn applied_per_second(&self) -> f64 {
        self.ends().map_or(0.0, |(first, last, seconds)| last.applied.saturating_sub(first.applied) as f64 / seconds)
    }

    /// Records appended a second; `None` where it is not known yet.
    pub fn appended_per_second(&self) -> Option<f64> {
        self.ends().map(|(first, last, seconds)| last.end.saturating_sub(first.end) as f64 / seconds)
    }

    /// The first rule that holds.
    pub fn verdict(&self, now: Moment) -> Verdict {
        let Some(last) = self.samples.back() else { return Verdict::CatchingUp };
        let mut pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        if now.ms_since(last.at) > 1000 * SPAN_S as i64 {
            Verdict::Stopped
        } else if pairs.clone().any(|(before, after)| after.applied < before.applied) {
            Verdict::Rewound
        } else if self.samples.iter().any(|sample| sample.lag() == 0) {
            Verdict::CaughtUp
        } else if self.samples.len() > 1 && self.samples.front().is_some_and(|first| first.applied == last.applied) {
            Verdict::Stalled
        } else if self.samples.len() > 1 && pairs.all(|(before, after)| after.lag() >= before.lag()) {
            Verdict::Falling
        } else {
            Verdict::CatchingUp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Moment {
        Moment::of_seconds(second)
    }

    fn check(samples: &[(u64, u64)], now: i64, expected: Verdict) {
        let mut window = Window::default();
        for (second, (applied, end)) in samples.iter().enumerate() {
            window.push(Sample { at: at(second as i64), applied: *applied, end: *end });
        }
        assert_eq!(window.verdict(at(now)), expected, "{samples:?}");
    }

    #[test]
    fn the_rules_in_their_order() {
        check(&[(5, 9), (5, 9)], 32, Verdict::Stopped);
        check(&[(5, 5), (2, 9)], 1, Verdict::Rewound);
        check(&[(5, 9), (9, 9), (9, 20)], 2, Verdict::CaughtUp);
        check(&[(5, 9), (5, 12)], 1, Verdict::Stalled);
        check(&[(5, 9), (6, 12)], 1, Verdict::Falling);
        check(&[(5, 12), (9, 12)], 1, Verdict::CatchingUp);
        check(&[], 0, Verdict::CatchingUp);
    }

    #[test]
    fn rates_are_of_the_whole_window() {
        let mut window = Window::default();
        assert_eq!((window.applied_per_second(), window.appended_per_second(), window.complete()), (0.0, None, 0.0));
        for second in 0..100 {
            window.push(Sample { at: at(second), applied: 10 * second as u64, end: 20 * second as u64 });
        }
        assert_eq!(
            (window.applied_per_second(), window.appended_per_second(), window.complete()),
            (10.0, Some(20.0), 1.0)
        );
    }
}
