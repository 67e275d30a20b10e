//! Change data capture: Debezium's messages, in any of their forms, into canonical events, by a mapping of one table's rows.
//!
//! A message is recognised and unwrapped (`message`, `flat`, `row`), a jq program makes events of the change (`program`,
//! `functions`, `regex`, and `bounds` for programs that do not end), and each gets an id and a stamp of its database's own commit order (`commit`, `made`). docs/cdc.md is for
//! whoever writes mappings.
//!
//! Pure: no log, no clock, no files. Not here: schemas and what types a column had, and judging the events, which is
//! [`crate::event`]'s.

mod bounds;
mod commit;
mod flat;
mod functions;
mod json;
mod made;
mod message;
mod program;
mod regex;
mod row;
mod transaction;

use std::borrow::Cow;

use crate::event::{Code, Part, Rejection, Truncation};

pub use commit::Logged;
pub use made::Made;
pub use message::{Message, Skipped, outbox};
pub use transaction::end;

use message::{Recognised, Unreadable};
use program::{Failure, Program};
use row::Unavailable;

/// A table's mapping: whose rows its topic carries, and the program that makes events of them.
#[derive(Debug)]
pub struct Mapping {
    topic: String,
    program: Program,
    unavailable: Unavailable,
}

/// What is read of a message.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Its place in a transaction, where it says one.
    pub part: Option<Part>,
    pub outcome: Result<Outcome<'a>, Box<Refusal>>,
}

/// What a message gives.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The events that the program makes, perhaps none.
    Made(Vec<Made>),
    /// An event that came as one, in CloudEvents' structured JSON.
    Event(Cow<'a, [u8]>),
    /// The table was emptied.
    Truncated(Truncation),
    Skipped(Skipped),
}

/// Why a message gives nothing.
#[derive(Debug)]
pub struct Refusal {
    /// Repeats no value of the row.
    pub rejection: Rejection,
    /// What the program itself said, for whoever is trying it out.
    pub detail: Option<String>,
}

impl Mapping {
    /// Compiles a topic's program. `file` is what messages call it. The faults name line and column.
    pub fn compile(topic: &str, file: &str, program: &str) -> Result<Mapping, Vec<String>> {
        let (topic, program) = (topic.to_owned(), Program::compile(file, program)?);
        Ok(Mapping { topic, program, unavailable: Unavailable::default() })
    }

    /// The mapping of a topic whose connector writes another text than Debezium's usual one for a column that was not sent
    /// (`unavailable.value.placeholder`).
    pub fn with_unavailable(self, placeholder: &str) -> Mapping {
        Mapping { unavailable: Unavailable::of(placeholder), ..self }
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn read<'a>(&self, message: &Message<'a>) -> Reading<'a> {
        let alone = |outcome| Reading { part: None, outcome };
        let refusal = |code, field: &str, message: String, detail| {
            let field = Some(field.to_owned()).filter(|field| !field.is_empty());
            let rejection = Rejection { code, field, message, id: None, kind: None, subject: None };
            Box::new(Refusal { rejection, detail })
        };
        let change = match message::recognise(message, &self.topic, &self.unavailable) {
            Ok(Recognised::Change(change)) => change,
            Ok(Recognised::Event(event)) => return alone(Ok(Outcome::Event(event))),
            Ok(Recognised::Skipped(what)) => return alone(Ok(Outcome::Skipped(what))),
            Ok(Recognised::Truncate { source, place, part }) => {
                return Reading { part, outcome: Ok(Outcome::Truncated(made::truncation(&source, &place))) };
            }
            Err(Unreadable::Json(what)) => return alone(Err(refusal(Code::BadJson, "", what, None))),
            Err(Unreadable::Shape(field, what)) => {
                return alone(Err(refusal(Code::BadEnvelope, field, what.into(), None)));
            }
        };
        let made = self.program.run(change.input(&self.topic)).and_then(|outputs| made::events(&change, &outputs));
        let outcome = made.map(Outcome::Made).map_err(|Failure { message, detail }| {
            refusal(Code::BadField, "", format!("{}: {message}", self.program.file()), detail)
        });
        Reading { part: change.part, outcome }
    }

    /// Why an event that was made is refused, told to whoever wrote the program.
    pub fn blamed(&self, made: &Made, mut rejection: Rejection) -> Rejection {
        if rejection.field.as_deref() == Some("sequence") && !made.has_sequence {
            rejection.message =
                "the domain has `order_by = \"sequence\"`, and the event no `sequence`: give one, or order \
                 the domain by `position`"
                    .into();
        }
        rejection.message = format!("{}: {}", self.program.file(), rejection.message);
        rejection
    }
}
