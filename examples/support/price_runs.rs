//! A calendar's nights, each with its price, as runs of equal price.
//!
//! A run is the longest span of consecutive nights of one listing at one price. The order of the rows does not
//! matter. A night without a price, or without a row, ends a run; a night with two rows has the price of the first.

use std::collections::HashMap;

use jiff::civil::Date;

#[derive(Clone, Copy)]
pub struct Run {
    listing: usize,
    pub first: Date,
    /// The first night that the price no longer holds for.
    pub end: Date,
    pub minor: i64,
    /// The first night's; it may differ within the run.
    pub minimum_nights: Option<i32>,
}

#[derive(Default)]
pub struct PriceRuns {
    listings: Vec<String>,
    numbers: HashMap<String, usize>,
    runs: Vec<Run>,
    pub nights_twice: u64,
}

impl PriceRuns {
    /// Takes one night. A file is ordered by listing and date, so nearly every night lengthens the last run.
    pub fn add(&mut self, listing: &str, night: Date, minor: i64, minimum_nights: Option<i32>) {
        let Ok(end) = night.tomorrow() else { return };
        let number = self.number(listing);
        match self.runs.last_mut() {
            Some(run) if run.listing == number && run.minor == minor && run.end == night => run.end = end,
            _ => self.runs.push(Run { listing: number, first: night, end, minor, minimum_nights }),
        }
    }

    pub fn knows(&self, listing: &str) -> bool {
        self.numbers.contains_key(listing)
    }

    fn number(&mut self, listing: &str) -> usize {
        if let Some(run) = self.runs.last()
            && self.listings.get(run.listing).is_some_and(|last| last == listing)
        {
            return run.listing;
        }
        if let Some(number) = self.numbers.get(listing) {
            return *number;
        }
        self.listings.push(listing.to_owned());
        self.numbers.insert(listing.to_owned(), self.listings.len() - 1);
        self.listings.len() - 1
    }

    /// All runs with their listings, by listing and first night.
    pub fn finish(mut self) -> (Vec<(String, Run)>, u64) {
        // Stable, so that of two rows for one night the first stays first.
        self.runs.sort_by_key(|run| (run.listing, run.first));
        let mut joined: Vec<Run> = Vec::with_capacity(self.runs.len());
        for mut run in self.runs {
            if let Some(last) = joined.last_mut().filter(|last| last.listing == run.listing) {
                while run.first < last.end && run.first < run.end {
                    self.nights_twice += 1;
                    run.first = run.first.tomorrow().unwrap_or(run.end);
                }
                if run.first == last.end && run.minor == last.minor {
                    last.end = run.end.max(last.end);
                    continue;
                }
            }
            if run.first < run.end {
                joined.push(run);
            }
        }
        let listings = self.listings;
        let named = joined.into_iter().filter_map(|run| Some((listings.get(run.listing)?.clone(), run)));
        let mut named: Vec<(String, Run)> = named.collect();
        named.sort_by(|(left, left_run), (right, right_run)| (left, left_run.first).cmp(&(right, right_run.first)));
        (named, self.nights_twice)
    }
}
