//! `staygraph demo`: the demo's screen around the demo's data.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::HumanCount;

use super::progress::{Progress, Unit};
use super::stop::Stop;
use super::{Failure, misused, one, run_app, say, url};
use crate::app::{self, Late};
use crate::config::{Address, Config, LogOptions, ModelText, Options, written};
use crate::demo::{State, Trickle, append_base, append_rest, begin, check_own_log, claim, entities_of};
use crate::source::log::Log;
use crate::telemetry::start_logs;

/// How late `--late` applies a domain.
const LATE_MS: i64 = 60_000;

#[derive(Args)]
pub struct Demo {
    /// Apply this domain's trickle a minute late.
    #[arg(long, value_name = "DOMAIN", env = "STAYGRAPH_LATE")]
    late: Option<String>,
    /// Take everything at once; nothing trickles.
    #[arg(long, env = "STAYGRAPH_NO_TRICKLE", value_parser = clap::builder::FalseyValueParser::new())]
    no_trickle: bool,
    /// Start over with an empty log.
    #[arg(long, env = "STAYGRAPH_FRESH", value_parser = clap::builder::FalseyValueParser::new())]
    fresh: bool,
    /// The folder for the demo's log.
    #[arg(long, value_name = "DIR", env = "STAYGRAPH_DATA", default_value = "staygraph-demo")]
    data: PathBuf,
    /// Where to listen; port 0 takes any.
    #[arg(
        long,
        value_name = "ADDR",
        env = "STAYGRAPH_LISTEN",
        default_value = "127.0.0.1:8080",
        value_parser = written::<Address>
    )]
    listen: Address,
}

impl Demo {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        let stop = Stop::listen()?;
        let options = Options { data_dir: Some(self.data.clone()), listen: Some(self.listen), ..Options::default() };
        let config = Config::read(&options, logs, &ModelText::Shipped)?;
        start_logs(config.log_format, config.verbose);
        let late = match &self.late {
            None => None,
            Some(name) => Some(Late {
                domain: config.model.domain_named(name).ok_or_else(|| {
                    let known: Vec<&str> = config.model.domains.iter().map(|domain| domain.name.as_str()).collect();
                    let near = crate::model::nearest(name, known.iter().copied());
                    misused(format!("--late: there is no domain `{name}`{near} (there are {})", known.join(", ")))
                })?,
                ms: LATE_MS,
                why: format!("its events are applied a minute late, as `--late {name}` asks"),
            }),
        };
        let listener = app::bind(&config.listen).map_err(one)?;
        let address = listener.local_addr().map_err(|error| one(error.to_string()))?;
        claim(&self.data).map_err(one)?;
        if self.fresh {
            check_own_log(&self.data).map_err(one)?;
        }
        let mut state = None;
        let store = app::open_after(config, |log| {
            state = Some(begin(&self.data, log, self.fresh)?);
            Ok(())
        });
        let store = store.map_err(one)?;
        let no_log = || one("the demo needs the embedded log".into());
        let (embedded, mut state) = store.embedded.as_ref().zip(state).ok_or_else(no_log)?;
        let (log, intake) = (embedded.log.clone(), embedded.intake.clone());
        if !state.is_loaded() {
            let mut progress = Progress::new("appending", Unit::Events, Some(State::base_events()));
            let appended = |appended: u64| {
                progress.at(appended);
                !stop.is_asked()
            };
            append_base(&intake, &mut state, appended).map_err(one)?;
            progress.done();
        }
        if self.no_trickle && !stop.is_asked() {
            append_rest(&intake, &mut state, || !stop.is_asked()).map_err(one)?;
        }
        if stop.is_asked() {
            return Ok(());
        }
        let app = app::start(store, late).map_err(one)?;
        app.announce(address);
        project(&app, &log, &stop);
        let trickle = match self.no_trickle {
            true => None,
            false => Some(Trickle::start(intake, state, &app.threads).map_err(one)?),
        };
        if !stop.is_asked() {
            say(&screen(&url(&app, address), self.no_trickle));
        }
        let served = run_app(app, listener, stop);
        drop(trickle);
        served
    }
}

/// Shows the projection's progress until it has caught up with the log.
fn project(app: &app::App, log: &Log, stop: &Stop) {
    let generation = &app.api.generation;
    let position = || {
        let snapshot = generation.snapshot();
        let targets = snapshot.applied.ids().filter_map(|partition| generation.target(partition));
        (snapshot.applied.iter().sum::<u64>(), targets.sum::<u64>())
    };
    let mut progress = Progress::new("projecting", Unit::Records, Some(position().1));
    let mut seen = log.commits();
    while generation.ready_at().is_none() && !stop.is_asked() && app.threads.death().is_none() {
        // Sleeps on the log's own signal; nobody appends now, so this is a tick.
        seen = log.wait(seen, Duration::from_millis(50));
        progress.at(position().0);
    }
    progress.done();
}

fn screen(url: &str, is_all: bool) -> String {
    let [people, properties, prices, reservations] =
        ["people", "properties", "prices", "reservations"].map(|domain| HumanCount(entities_of(domain)));
    let arriving = match is_all {
        true => "all of which have arrived",
        false => "some of which are still arriving",
    };
    format!(
        "
staygraph: {people} people, {properties} properties, {prices} prices and {reservations} reservations,
{arriving}. Ctrl-C stops it; the next start is quick.

  GraphiQL   {url}/graphiql

Three queries worth trying (GraphiQL opens with them):

  1. The stays of a guest, with each property, its host, and what its nights cost:
     {{ person(key: \"44250196\") {{ name reservations {{ nodes {{ status property {{ name host {{ name }}
         prices(first: 3) {{ nodes {{ amount {{ minor currency }} validFrom validTo }} }} }} }} }} }} }}

  2. Stays cancelled before an August arrival, the dearest first:
     {{ reservations(filter: {{ status: {{ eq: CANCELLED }}, checkIn: {{ gte: \"2017-08-01\" }} }},
         orderBy: [{{ total: DESC }}], first: 10) {{ totalCount nodes {{ key checkIn nights total {{ minor currency }} }} }} }}

  3. How fresh each domain is, and why:
     {{ freshness {{ domain status cause reason asOf lagEvents }} }}

Every answer says how fresh it is, under `extensions.freshness`.

Data: Inside Airbnb, insideairbnb.com, Singapore, 2023-09-23 (CC BY 4.0), and Antonio, de Almeida, Nunes, Hotel
booking demand datasets, doi 10.1016/j.dib.2018.11.126 (CC BY 4.0). People's names are invented; stays at Airbnb are
inferred from reviews. assets/demo/README.md says what was changed.
"
    )
}
