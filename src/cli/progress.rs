//! Progress: a bar on a terminal, else a line now and then; always with its unit.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::clock;
use crate::telemetry::{Told, is_json, tell};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Events,
    Lines,
    Records,
}

impl Unit {
    fn of(self, count: u64) -> String {
        match self {
            Unit::Bytes => HumanBytes(count).to_string(),
            Unit::Events => format!("{} events", HumanCount(count)),
            Unit::Lines => format!("{} lines", HumanCount(count)),
            Unit::Records => format!("{} records", HumanCount(count)),
        }
    }
}

pub struct Progress {
    bar: ProgressBar,
    has_bar: bool,
    what: &'static str,
    unit: Unit,
    total: Option<u64>,
    said_at: Duration,
}

impl Progress {
    /// `total` is `None` where it is not known.
    pub fn new(what: &'static str, unit: Unit, total: Option<u64>) -> Progress {
        // A bar among JSON lines is none of them.
        let has_bar = std::io::stderr().is_terminal() && !is_json();
        let bar =
            if has_bar { total.map_or_else(ProgressBar::new_spinner, ProgressBar::new) } else { ProgressBar::hidden() };
        bar.set_length(total.unwrap_or(0));
        let template = match (total, unit) {
            (Some(_), Unit::Bytes) => "{msg:<10} {bar:40} {bytes} of {total_bytes}, {eta} left",
            (Some(_), _) => "{msg:<10} {bar:40} {human_pos} of {human_len} {prefix}, {eta} left",
            (None, Unit::Bytes) => "{msg} {bytes}",
            (None, _) => "{msg} {human_pos} {prefix}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.set_prefix(match unit {
            Unit::Bytes => "",
            Unit::Events => "events",
            Unit::Lines => "lines",
            Unit::Records => "records",
        });
        if has_bar {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress { bar, has_bar, what, unit, total, said_at: clock::tick() }
    }

    pub fn at(&mut self, position: u64) {
        self.bar.set_position(position);
        let now = clock::tick();
        if !self.has_bar && now.saturating_sub(self.said_at) >= LINE_EVERY {
            self.said_at = now;
            tell(Told::Note, &line(self.what, self.unit, position, self.total));
        }
    }

    pub fn done(self) {
        self.bar.finish_and_clear();
    }
}

/// How far it is, as a line.
fn line(what: &str, unit: Unit, position: u64, total: Option<u64>) -> String {
    let of = total.map(|total| format!(" of {}", unit.of(total))).unwrap_or_default();
    format!("{what} {}{of}", unit.of(position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_its_unit() {
        for (unit, position, total, said) in [
            (Unit::Bytes, 4 << 20, Some(10 << 20), "appending 4.00 MiB of 10.00 MiB"),
            (Unit::Lines, 1_000, None, "appending 1,000 lines"),
            (Unit::Events, 200_000, Some(386_255), "appending 200,000 events of 386,255 events"),
            (Unit::Records, 0, Some(12), "appending 0 records of 12 records"),
        ] {
            assert_eq!(line("appending", unit, position, total), said);
        }
    }
}
