//! Progress: a bar on a terminal, else a line now and then.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

pub struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    what: &'static str,
    said_at: Duration,
}

impl Progress {
    /// `total` is `None` where it is not known.
    pub fn new(what: &'static str, total: Option<u64>) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            total.map_or_else(ProgressBar::new_spinner, ProgressBar::new)
        } else {
            ProgressBar::hidden()
        };
        bar.set_length(total.unwrap_or(0));
        let template = if total.is_some() {
            "{msg:<10} {bar:40} {human_pos}/{human_len}, {eta} left"
        } else {
            "{msg} {human_pos}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar, is_terminal, what, said_at: clock::tick() }
    }

    pub fn at(&mut self, position: u64) {
        self.bar.set_position(position);
        let now = clock::tick();
        if !self.is_terminal && now.saturating_sub(self.said_at) >= LINE_EVERY {
            self.said_at = now;
            eprintln!("{} {position}", self.what);
        }
    }

    pub fn done(self) {
        self.bar.finish_and_clear();
    }
}
