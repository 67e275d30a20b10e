//! What a person types.

mod append;
mod checkpoint;
mod dead_letters;
mod demo;
mod map;
mod pause;
mod progress;
mod service;
mod stop;
mod token;
mod verify;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::{Config, LogOptions, ModelText, Options};
use crate::telemetry::{Told, give_back, start_logs, tell};
use stop::Stop;

/// How long queries and appends on the runtime's threads may take to end at a shutdown, when all else has.
const RUNTIME_STOP: Duration = Duration::from_secs(2);

/// The query side of an event-sourced vacation-rental company: streams into a graph, served as GraphQL that says how
/// fresh it is.
#[derive(Parser)]
#[command(name = "staygraph", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logs: LogOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Real data in an embedded log, projected and served, with a trickle of what was kept back.
    Demo(demo::Demo),
    /// The service.
    Serve {
        #[command(flatten)]
        options: Options,
    },
    /// Append events, one a line, to a running service or to a log at rest.
    Append(append::Append),
    /// What could not be applied: list it, look at it, read it once more, take it away.
    DeadLetters(dead_letters::DeadLetters),
    /// Have a running service take a checkpoint now, and wait until it is safe.
    Checkpoint(checkpoint::Checkpoint),
    /// Have a running service read nothing more of a domain: answers go on, and grow older.
    Pause(pause::Pauses),
    /// Have it read on.
    Resume(pause::Pauses),
    /// Compare what two graphs say, of two services or of a service and a checkpoint: 0 where it is the same.
    Verify(verify::Verify),
    /// Make a token for a scraper or a job: prints it, and what the configuration file says of it.
    Token(token::Token),
    /// Check the model and the configuration: silent when they are right.
    Check {
        #[command(flatten)]
        options: Options,
    },
    /// Try a table's mapping on recorded messages: prints the events that it makes.
    Map(map::Map),
    /// Print the GraphQL schema that the model gives.
    Schema {
        #[command(flatten)]
        options: Options,
    },
}

/// Why a command ends, each line a reason.
struct Failure {
    lines: Vec<String>,
    /// 1 failed, 2 used wrongly.
    code: u8,
}

impl From<Vec<String>> for Failure {
    fn from(lines: Vec<String>) -> Failure {
        Failure { lines, code: 1 }
    }
}

/// Runs what the command line says. Exit codes: 0 done, 1 failed, 2 used wrongly.
pub fn run() -> ExitCode {
    let Cli { command, logs } = Cli::parse();
    let outcome = match command {
        Command::Demo(demo) => demo.run(&logs),
        Command::Serve { options } => serve(&options, &logs),
        Command::Append(append) => append.run(&logs),
        Command::DeadLetters(letters) => letters.run(&logs),
        Command::Checkpoint(checkpoint) => checkpoint.run(&logs),
        Command::Pause(pauses) => pauses.pause(&logs),
        Command::Resume(pauses) => pauses.resume(&logs),
        Command::Verify(verify) => verify.run(&logs),
        Command::Token(token) => token.run(),
        Command::Check { options } => check(&options, &logs),
        Command::Map(map) => map.run(&logs),
        Command::Schema { options } => schema(&options, &logs),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { lines, code }) => {
            // Where nothing was started yet, the flag and the environment say how.
            start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
            lines.iter().for_each(|line| tell(Told::Error, line));
            ExitCode::from(code)
        }
    }
}

fn check(options: &Options, logs: &LogOptions) -> Result<(), Failure> {
    let config = Config::read(options, logs, &ModelText::File)?;
    start_logs(config.log_format, config.verbose);
    config.warnings.iter().for_each(|warning| tell(Told::Warning, warning));
    app::tls(config.tls.as_ref()).map_err(one)?;
    // What only shows when the schema is made.
    let model = Arc::new(config.model);
    let schema = crate::api::make(&model).map_err(one)?;
    app::access(&schema, &model, &config.access, config.auth.as_ref()).map_err(|lines| Failure { lines, code: 1 })?;
    app::trusted(&schema, &model, &config.limits, &config.documents).map_err(|lines| Failure { lines, code: 1 })?;
    Ok(())
}

fn serve(options: &Options, logs: &LogOptions) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let config = Config::read(options, logs, &ModelText::File)?;
    start_logs(config.log_format, config.verbose);
    config.warnings.iter().for_each(|warning| tell(Told::Warning, warning));
    let listener = app::bind(&config.listen).map_err(one)?;
    let address = listener.local_addr().map_err(|error| one(error.to_string()))?;
    let app = app::open(config).and_then(|store| app::start(store, None)).map_err(one)?;
    app.announce(address);
    say(&format!("staygraph listens on {}", url(&app, address)));
    run_app(app, listener, stop)
}

/// Serves until somebody asks for an end. What still runs on the runtime then has a moment, and no more.
fn run_app(app: app::App, listener: std::net::TcpListener, stop: Stop) -> Result<(), Failure> {
    give_back().map_err(|why| one(format!("the allocator has no thread of its own: {why}")))?;
    let runtime = runtime()?;
    let served = runtime.block_on(async { app.serve(listener, stop.asked()).await });
    runtime.shutdown_timeout(RUNTIME_STOP);
    served.map_err(one)
}

fn schema(options: &Options, logs: &LogOptions) -> Result<(), Failure> {
    let config = Config::read(options, logs, &ModelText::File)?;
    let schema = crate::api::make(&Arc::new(config.model)).map_err(one)?;
    say(schema.sdl.trim_end());
    Ok(())
}

fn one(message: String) -> Failure {
    Failure { lines: vec![message], code: 1 }
}

/// The command was used wrongly: a value that no option takes.
fn misused(message: String) -> Failure {
    Failure { lines: vec![message], code: 2 }
}

/// Prints a line. Whoever closed the pipe has heard enough.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// So many of something: `1 event`, `2 events`.
fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn url(app: &app::App, address: SocketAddr) -> String {
    let scheme = if app.is_secured() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| one(format!("no runtime: {error}")))
}
