//! Where decoded events lie: texts and values side by side in buffers that are recycled, and views of them.

use std::fmt;

use super::tape::{Span, Tape, Token};
use super::{Action, Envelope, Event};
use crate::ids::{EntityId, FieldId};
use crate::model::cell::{Cell, List};
use crate::model::value::{Date, GeoPoint, Instant, Money};

/// Room for decoded events. Emptying it keeps its memory, so that it soon needs no more.
#[derive(Clone, Default)]
pub struct Buffer {
    pub(super) tape: Tape,
    pub(super) kept: Kept,
}

/// What is read off the tape.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub patch: Vec<(FieldId, Slot)>,
    /// Names in the tape's text, values in `made`.
    pub attributes: Vec<(Span, Span)>,
    pub extensions: Vec<Span>,
    /// The lists' items.
    pub packed: Vec<u8>,
    /// Texts that no document holds as they are: JSON without spaces, a version written out.
    pub made: String,
    /// The last source that was judged to be a URI reference.
    pub source: Option<Span>,
}

/// A field's value whose text lies elsewhere in the buffer.
#[derive(Clone, Copy, Debug)]
pub enum Slot {
    Null,
    Boolean(bool),
    Int(i64),
    Float(f64),
    String(Span),
    Date(Date),
    DateTime(Instant),
    Money(Money),
    GeoPoint(GeoPoint),
    Enum(u16),
    /// Of the packed bytes.
    List(Span),
    Json(Span),
}

/// An event whose texts lie in the buffer.
#[derive(Clone, Debug)]
pub struct Stored {
    pub entity: EntityId,
    pub key: Span,
    pub action: StoredAction,
    pub id: Span,
    pub source: Span,
    pub kind: Span,
    pub time: Instant,
    pub version: Option<u64>,
    pub sequence: Option<Sequence>,
    pub dataschema: Option<Span>,
    pub traceparent: Option<Span>,
    pub patch: Stretch,
    pub attributes: Stretch,
    pub extensions: Stretch,
    pub in_model: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum StoredAction {
    Change,
    Delete,
    Erase,
    Merge(Span),
}

/// A version as it was written.
#[derive(Clone, Copy, Debug)]
pub enum Sequence {
    Text(Span),
    /// Written out in `made`.
    Number(Span),
}

/// An event's part of one of the buffer's lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stretch {
    pub start: usize,
    pub end: usize,
}

impl Stretch {
    #[inline]
    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start..self.end).unwrap_or_default()
    }
}

/// How full a buffer is.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    text: usize,
    patch: usize,
    attributes: usize,
    extensions: usize,
    packed: usize,
    made: usize,
}

impl Slot {
    /// The value. `text` is the tape's.
    #[inline]
    pub fn cell<'a>(self, text: &'a str, made: &'a str, packed: &'a [u8]) -> Cell<'a> {
        match self {
            Slot::Null => Cell::Null,
            Slot::Boolean(value) => Cell::Boolean(value),
            Slot::Int(value) => Cell::Int(value),
            Slot::Float(value) => Cell::Float(value),
            Slot::String(span) => Cell::String(span.text(text)),
            Slot::Date(value) => Cell::Date(value),
            Slot::DateTime(value) => Cell::DateTime(value),
            Slot::Money(value) => Cell::Money(value),
            Slot::GeoPoint(value) => Cell::GeoPoint(value),
            Slot::Enum(value) => Cell::Enum(value),
            Slot::List(Span { start, length }) => {
                Cell::List(List::of(packed.get(start..start + length).unwrap_or_default()))
            }
            Slot::Json(span) => Cell::Json(span.text(made)),
        }
    }
}

impl Kept {
    /// The field's value among those from `start` on; `Null` where there is none.
    #[inline]
    pub fn cell<'a>(&'a self, start: usize, field: FieldId, text: &'a str) -> Cell<'a> {
        let slot = self.patch.get(start..).unwrap_or_default().iter().find(|(known, _)| *known == field);
        slot.map_or(Cell::Null, |(_, slot)| slot.cell(text, &self.made, &self.packed))
    }
}

const ZEROS: [u8; 1024] = [0; 1024];

/// Ends a text at a place, and leaves nothing of what stood there in the memory that it keeps.
pub(super) fn wipe(text: &mut String, from: usize) {
    let zeros = std::str::from_utf8(&ZEROS).unwrap_or_default();
    let mut left = text.len() - from;
    text.truncate(from);
    while left > 0 {
        let part = left.min(zeros.len());
        text.push_str(&zeros[..part]);
        left -= part;
    }
    text.truncate(from);
}

impl Buffer {
    pub fn clear(&mut self) {
        let Buffer { tape, kept } = self;
        tape.tokens.clear();
        wipe(&mut tape.text, 0);
        kept.patch.clear();
        kept.attributes.clear();
        kept.extensions.clear();
        kept.packed.fill(0);
        kept.packed.clear();
        wipe(&mut kept.made, 0);
        kept.source = None;
    }

    /// Gives memory back that it does not use.
    pub fn shrink(&mut self) {
        let Buffer { tape, kept } = self;
        tape.tokens.shrink_to_fit();
        tape.text.shrink_to_fit();
        kept.patch.shrink_to_fit();
        kept.attributes.shrink_to_fit();
        kept.extensions.shrink_to_fit();
        kept.packed.shrink_to_fit();
        kept.made.shrink_to_fit();
    }

    /// Bytes that it holds, used or not.
    pub fn size(&self) -> usize {
        let Buffer { tape, kept } = self;
        let texts = tape.text.capacity() + kept.packed.capacity() + kept.made.capacity();
        texts
            + tape.tokens.capacity() * size_of::<Token>()
            + tape.quotes.capacity() * size_of::<u64>()
            + kept.patch.capacity() * size_of::<(FieldId, Slot)>()
            + kept.attributes.capacity() * size_of::<(Span, Span)>()
            + kept.extensions.capacity() * size_of::<Span>()
    }

    pub(super) fn mark(&self) -> Mark {
        let Buffer { tape, kept } = self;
        Mark {
            text: tape.text.len(),
            patch: kept.patch.len(),
            attributes: kept.attributes.len(),
            extensions: kept.extensions.len(),
            packed: kept.packed.len(),
            made: kept.made.len(),
        }
    }

    /// Takes out what came after the mark.
    pub(super) fn cut(&mut self, mark: Mark) {
        let Buffer { tape, kept } = self;
        wipe(&mut tape.text, mark.text);
        kept.patch.truncate(mark.patch);
        kept.attributes.truncate(mark.attributes);
        kept.extensions.truncate(mark.extensions);
        kept.packed[mark.packed..].fill(0);
        kept.packed.truncate(mark.packed);
        wipe(&mut kept.made, mark.made);
        // It may have been taken out.
        kept.source = None;
    }

    #[inline]
    pub(super) fn event(&self, stored: &Stored) -> Event<'_> {
        let Buffer { tape: Tape { text, .. }, kept } = self;
        let sequence = stored.sequence.map(|sequence| match sequence {
            Sequence::Text(span) => span.text(text),
            Sequence::Number(span) => span.text(&kept.made),
        });
        Event {
            entity: stored.entity,
            key: stored.key.text(text),
            action: match stored.action {
                StoredAction::Change => Action::Change,
                StoredAction::Delete => Action::Delete,
                StoredAction::Erase => Action::Erase,
                StoredAction::Merge(into) => Action::Merge(into.text(text)),
            },
            envelope: Envelope {
                id: stored.id.text(text),
                source: stored.source.text(text),
                kind: stored.kind.text(text),
                time: stored.time,
                version: stored.version,
                sequence,
                dataschema: stored.dataschema.map(|span| span.text(text)),
                traceparent: stored.traceparent.map(|span| span.text(text)),
            },
            patch: Patch { slots: stored.patch.of(&kept.patch), buffer: self },
            attributes: Attributes { spans: stored.attributes.of(&kept.attributes), buffer: self },
            unknown_extensions: Extensions { spans: stored.extensions.of(&kept.extensions), buffer: self },
            in_model: stored.in_model,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("bytes", &self.tape.text.len()).finish_non_exhaustive()
    }
}

/// The fields that an event sets, each once; `Null` clears. A link's value is the other's key.
#[derive(Clone, Copy)]
pub struct Patch<'a> {
    slots: &'a [(FieldId, Slot)],
    buffer: &'a Buffer,
}

impl<'a> Patch<'a> {
    pub fn len(self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(self) -> bool {
        self.slots.is_empty()
    }

    #[inline]
    pub fn iter(self) -> impl Iterator<Item = (FieldId, Cell<'a>)> {
        let Buffer { tape, kept } = self.buffer;
        self.slots.iter().map(|(field, slot)| (*field, slot.cell(&tape.text, &kept.made, &kept.packed)))
    }
}

impl fmt::Debug for Patch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What an event's data hold beyond the model: names, and values as JSON without spaces.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    spans: &'a [(Span, Span)],
    buffer: &'a Buffer,
}

impl<'a> Attributes<'a> {
    pub fn len(self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let Buffer { tape, kept } = self.buffer;
        self.spans.iter().map(|(name, value)| (name.text(&tape.text), value.text(&kept.made)))
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The names of an envelope's extensions that nobody knows.
#[derive(Clone, Copy)]
pub struct Extensions<'a> {
    spans: &'a [Span],
    buffer: &'a Buffer,
}

impl<'a> Extensions<'a> {
    pub fn len(self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let text = &self.buffer.tape.text;
        self.spans.iter().map(|name| name.text(text))
    }
}

impl fmt::Debug for Extensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
