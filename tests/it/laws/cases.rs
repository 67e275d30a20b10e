//! What the laws leave out, by hand: counters, dead letters, the lowest hundred.
