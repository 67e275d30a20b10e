//! What a person types.

mod append;
mod dead_letters;
mod demo;
mod map;
mod progress;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::{Config, LogOptions, ModelText, Options};
use crate::telemetry::start_logs;

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

/// Why a command ends: exit code 1, with the lines that say why.
type Failure = Vec<String>;

/// Runs what the command line says. Exit codes: 0 done, 1 failed, 2 used wrongly.
pub fn run() -> ExitCode {
    let Cli { command, logs } = Cli::parse();
    let outcome = match command {
        Command::Demo(demo) => demo.run(&logs),
        Command::Serve { options } => serve(&options, &logs),
        Command::Append(append) => append.run(&logs),
        Command::DeadLetters(letters) => letters.run(&logs),
        Command::Check { options } => check(&options, &logs),
        Command::Map(map) => map.run(&logs),
        Command::Schema { options } => schema(&options, &logs),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            for fault in faults {
                eprintln!("error: {fault}");
            }
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options, logs: &LogOptions) -> Result<(), Failure> {
    let config = Config::read(options, logs, &ModelText::File)?;
    start_logs(config.log_format, config.verbose);
    let listener = app::bind(&config.listen).map_err(one)?;
    let address = listener.local_addr().map_err(|error| one(error.to_string()))?;
    let app = app::open(config).and_then(|store| app::start(store, None)).map_err(one)?;
    say(&format!("staygraph listens on {}", url(address)));
    runtime()?.block_on(async { app.serve(listener, interrupted()).await }).map_err(one)
}

/// What is right for `check` is so for `schema` and `serve`: the schema is made here, too.
fn check(options: &Options, logs: &LogOptions) -> Result<(), Failure> {
    let config = Config::read(options, logs, &ModelText::File)?;
    crate::api::make(&Arc::new(config.model))
        .map(drop)
        .map_err(|error| one(format!("the model gives no schema: {error}")))
}

fn schema(options: &Options, logs: &LogOptions) -> Result<(), Failure> {
    let config = Config::read(options, logs, &ModelText::File)?;
    let schema = crate::api::make(&Arc::new(config.model)).map_err(one)?;
    say(schema.sdl.trim_end());
    Ok(())
}

fn one(message: String) -> Failure {
    vec![message]
}

/// Prints a line. Whoever closed the pipe has heard enough.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| one(format!("no runtime: {error}")))
}

/// Ends at the first Ctrl-C or SIGTERM. A second one ends the process at once.
async fn interrupted() {
    signal().await;
    tracing::info!("stopping; once more to stop at once");
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
