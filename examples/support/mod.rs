//! What the importers share: opening a CSV file, reading its cells, writing events, ending with the right code.
//! Nothing here knows a data set.

pub mod event;
pub mod parse;
pub mod table;

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why an import stopped. What is only left out is no failure: see [`table::Faults`].
pub enum Failure {
    /// The arguments do not say enough, or say what cannot be.
    Usage(String),
    /// A file cannot be read, or is not what it should be.
    Data(String),
    /// The events cannot be written.
    Output(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(message) | Failure::Data(message) => formatter.write_str(message),
            Failure::Output(error) => write!(formatter, "the events cannot be written: {error}"),
        }
    }
}

/// Turns the outcome into an exit code: 2 for the arguments, 1 for the rest. Whoever closed our output has read
/// enough (`| head`), which is no failure.
pub fn exit(program: &str, outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            report(&format!("{program}: {failure}"));
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Writes a line for people. A closed standard error must not end the import, as `eprintln!` would.
pub fn report(line: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "{line}");
}

/// 33890 as 33,890, for people.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
