//! A plan run over one version, straight into the answer's bytes. Nothing waits here, and nothing is made that is not written.
//!
//! Where a field fails, what was written of it is taken back: null goes up to the nearest field that may be null, by the
//! specification's section 6.4.4, or as `onError` of the request says.

mod explore;
mod list;
mod node;
mod roots;
mod values;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use apollo_compiler::parser::SourceSpan;
use serde_json::{Map, Value as Json};

use super::Context;
use super::document::Document;
use super::error::ApiError;
use super::plan::{Bound, Call, Field, Fields, Plan};
use super::schema::Schema;
use crate::query::{QueryError, Reading};

/// What an error in a field does to the answer: `onError` of the GraphQL specification's draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The field alone is null, whatever its type says.
    Null,
    /// Null goes up to the nearest field that may be null.
    #[default]
    Propagate,
    /// There is no data, and one error.
    Halt,
}

/// What an operation came to.
pub struct Ran {
    /// The answer's beginning: `{"data":…`.
    pub text: Vec<u8>,
    pub errors: Vec<ApiError>,
}

/// What an operation is run with.
pub struct Request<'r> {
    pub context: &'r Context,
    pub schema: &'r Schema,
    pub document: &'r Document,
    pub plan: &'r Plan,
    /// By list of the plan: its arguments.
    pub bound: &'r [Arc<Bound>],
    pub variables: &'r Map<String, Json>,
    pub on_error: OnError,
}

/// Runs an operation.
pub fn run(request: Request<'_>) -> Ran {
    let length = &request.plan.length;
    let mut out = Vec::with_capacity(length.load(Ordering::Relaxed) + ROOM);
    out.extend_from_slice(DATA);
    let mut run = Run { reading: &request.context.reading, request, out, errors: Vec::new() };
    let root = &run.request.plan.root;
    if run.query(root).is_err() {
        run.out.truncate(DATA.len());
        run.out.extend_from_slice(b"null");
    }
    length.store(run.out.len(), Ordering::Relaxed);
    Ran { text: run.out, errors: run.errors }
}

struct Run<'r> {
    request: Request<'r>,
    reading: &'r Reading,
    out: Vec<u8>,
    errors: Vec<ApiError>,
}

/// Why a field has no value.
enum Stop {
    /// An error of its own.
    Error(QueryError),
    /// Something within it may not be null and is: that is noted already.
    Null,
}

impl From<QueryError> for Stop {
    fn from(error: QueryError) -> Stop {
        Stop::Error(error)
    }
}

type Written = Result<(), Stop>;

/// Where something stands in the answer.
#[derive(Clone, Copy)]
struct At<'a> {
    parent: Option<&'a At<'a>>,
    segment: Segment<'a>,
    /// Its field in the document.
    place: &'a Option<SourceSpan>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

/// Bytes for what follows the data, and for a little more of those than the last time.
const ROOM: usize = 2048;

/// Before the data.
const DATA: &[u8] = b"{\"data\":";

const ROOT: At<'static> = At { parent: None, segment: Segment::Root, place: &None };

impl<'a> At<'a> {
    fn field<T>(&'a self, field: &'a Field<T>) -> At<'a> {
        At { parent: Some(self), segment: Segment::Name(field.name()), place: &field.place }
    }

    fn item(&'a self, index: usize) -> At<'a> {
        At { parent: Some(self), segment: Segment::Index(index), place: self.place }
    }

    fn path(&self) -> Vec<Json> {
        let mut path = self.parent.map(At::path).unwrap_or_default();
        match self.segment {
            Segment::Root => {}
            Segment::Name(name) => path.push(name.into()),
            Segment::Index(index) => path.push(index.into()),
        }
        path
    }
}

impl<'r> Run<'r> {
    /// Writes an object, field by field.
    fn object<T>(
        &mut self,
        fields: &'r Fields<T>,
        at: &At<'_>,
        mut write: impl FnMut(&mut Run<'r>, &'r T, &At<'_>) -> Written,
    ) -> Written {
        self.out.push(b'{');
        for (place, field) in fields.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(field.key.as_bytes());
            let (length, at) = (self.out.len(), at.field(field));
            if let Err(stop) = write(self, &field.what, &at) {
                self.take_back(stop, field.nullable, length, &at)?;
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Writes a list of what may not be null.
    fn list<I>(
        &mut self,
        items: impl IntoIterator<Item = I>,
        at: &At<'_>,
        mut write: impl FnMut(&mut Run<'r>, I, &At<'_>) -> Written,
    ) -> Written {
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write(self, item, &at.item(index))?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Takes back what was written, from a length on, of something that has no value.
    fn take_back(&mut self, stop: Stop, is_nullable: bool, length: usize, at: &At<'_>) -> Written {
        if let Stop::Error(error) = stop {
            let place = at.place.and_then(|span| span.line_column(&self.request.document.document.sources));
            let locations = place.map(|place| (place.line, place.column)).into_iter().collect();
            let (code, message, path) = (error.code, error.message, Some(Json::Array(at.path())));
            self.errors.push(ApiError { code, message, locations, path, extensions: Vec::new() });
        }
        match self.request.on_error {
            OnError::Null => {}
            OnError::Propagate if is_nullable => {}
            OnError::Propagate | OnError::Halt => return Err(Stop::Null),
        }
        self.out.truncate(length);
        self.null()
    }

    fn null(&mut self) -> Written {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn text(&mut self, text: &str) -> Written {
        super::json::text(&mut self.out, text);
        Ok(())
    }

    /// A text that needs no escapes: a name of the schema.
    fn name(&mut self, name: &str) -> Written {
        self.quoted(&[name])
    }

    /// Names, one after the other, as one text.
    fn quoted(&mut self, names: &[&str]) -> Written {
        self.out.push(b'"');
        names.iter().for_each(|name| self.out.extend_from_slice(name.as_bytes()));
        self.out.push(b'"');
        Ok(())
    }

    fn truth(&mut self, truth: bool) -> Written {
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
        Ok(())
    }

    fn number(&mut self, number: u64) -> Written {
        super::json::number(&mut self.out, number);
        Ok(())
    }

    fn arguments(&self, call: &Call) -> Result<Map<String, Json>, QueryError> {
        call.bind(self.request.schema, self.request.variables)
    }
}
