//! Logs to standard error, and what commands tell beside them, in the same form.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::filter::EnvFilter;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// As the process's subscriber: set once, by whoever starts the logs first.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sends logs to standard error. `verbose` counts `-v`; `RUST_LOG`, where it is set and readable, wins. A second start keeps
/// the first.
pub fn start_logs(format: LogFormat, verbose: u8) {
    if FORMAT.set(format).is_err() {
        return;
    }
    let level = match verbose {
        0 => "warn,staygraph=info",
        1 => "info,staygraph=debug",
        _ => "debug,staygraph=trace",
    };
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|wanted| !wanted.trim().is_empty());
    let read = wanted.as_deref().map(EnvFilter::try_new).transpose();
    let (filter, fault) = match read {
        Ok(filter) => (filter.unwrap_or_else(|| EnvFilter::new(level)), None),
        Err(fault) => (EnvFilter::new(level), Some(fault)),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(verbose > 0);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        // A text that was made may hold somebody's data; one of the program's own does not.
        let what = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("its message is left out");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or_default(), place, what, "a thread panicked");
    }));
    if let Some(fault) = fault {
        tracing::warn!("RUST_LOG is not readable, and is passed over: {fault}");
    }
}

/// Whether standard error has nothing but lines of JSON.
pub fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Note,
    Warning,
    Error,
}

/// Tells a person a line on standard error; among logs in JSON it is one of them.
pub fn tell(told: Told, line: &str) {
    match (is_json(), told) {
        (true, Told::Note) => tracing::info!("{line}"),
        (true, Told::Warning) => tracing::warn!("{line}"),
        (true, Told::Error) => tracing::error!("{line}"),
        (false, Told::Note) => eprintln!("{line}"),
        (false, Told::Warning) => eprintln!("warning: {line}"),
        (false, Told::Error) => eprintln!("error: {line}"),
    }
}
