//! What the benchmarks share: numbers without a pattern, a table, the process's memory.

use std::time::{Duration, Instant};

/// Xorshift (Marsaglia, 2003): the same numbers in every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Resident bytes of this process; 0 where nobody tells.
pub fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// A line of a report.
pub fn say(name: &str, figures: &str) {
    println!("{name:<46} {figures}");
}

pub fn rate(events: usize, took: Duration) -> String {
    format!("{:>7.0} k/s", events as f64 / took.as_secs_f64() / 1000.0)
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed())
}

/// Processor time that this thread has had: what it took whatever else ran. Zero where nobody tells.
pub fn busy() -> Duration {
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    Duration::from_nanos(nanos.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0))
}

/// Times in nanoseconds, of which some share is below the given.
pub fn percentile(times: &mut [u64], share: f64) -> f64 {
    if times.is_empty() {
        return f64::NAN;
    }
    let place = ((times.len() - 1) as f64 * share) as usize;
    *times.select_nth_unstable(place).1 as f64
}
