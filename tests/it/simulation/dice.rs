//! What a seed decides, and the clock that goes on only when it is told to.

use std::cell::Cell;
use std::time::Duration;

use staygraph::freshness::Moment;
use staygraph::model::value::Instant;

/// Numbers that a seed gives: Marsaglia's xorshift with Vigna's multiplication.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 32) % bound.max(1) as u64) as usize
    }

    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What the wall's clock says where the other begins.
const BEGAN_MS: i64 = 1_700_000_000_000;

thread_local! {
    static NOW_MS: Cell<i64> = const { Cell::new(0) };
}

pub fn moment() -> Moment {
    let tick_ms = NOW_MS.get();
    Moment { at: Instant::from_micros((BEGAN_MS + tick_ms) * 1000), tick_ms }
}

pub fn tick() -> Duration {
    Duration::from_millis(NOW_MS.get().cast_unsigned())
}

pub fn now_ms() -> i64 {
    NOW_MS.get()
}

/// The clock from its beginning.
pub fn begin() {
    NOW_MS.set(1000);
}

pub fn pass(ms: i64) {
    NOW_MS.set(NOW_MS.get() + ms);
}
