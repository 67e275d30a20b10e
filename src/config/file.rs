//! The configuration file as it is written: TOML, unknown keys refused, and of everything the place known.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::options::{LogOptions, Options};
use super::written::{Millis, Positive, Retention};
use crate::model::nearest;

/// What only the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sections {
    pub sources: BTreeMap<String, FileSource>,
    pub domains: BTreeMap<String, FileDomain>,
    pub mappings: Vec<FileMapping>,
    pub transactions: Vec<FileTransactions>,
    pub dead_letters: Option<FileDeadLetters>,
    pub documents: Option<FileDocuments>,
    pub log: FileLog,
    pub checkpoints: Option<FileCheckpoints>,
    pub auth: Option<FileAuth>,
    pub tls: Option<FileTls>,
    pub access: Vec<FileAccess>,
}

/// The keys of [`Sections`] and of [`LogOptions`]; all others are [`Options`].
const SECTIONS: [&str; 11] = [
    "sources",
    "domains",
    "mappings",
    "transactions",
    "dead_letters",
    "documents",
    "checkpoints",
    "log",
    "auth",
    "tls",
    "access",
];
const LOGS: [&str; 2] = ["log_format", "verbose"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    pub kind: FileKind,
    pub brokers: Option<String>,
    pub schema_registry: Option<String>,
    #[serde(default)]
    pub properties: BTreeMap<String, Property>,
    /// The properties in librdkafka's words.
    #[serde(skip)]
    pub flat: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// The embedded log.
    Log,
    Kafka,
}

/// A property's value; librdkafka takes texts.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Property {
    Text(String),
    Number(i64),
    Switch(bool),
    /// A name without quotes: TOML takes its points for tables.
    Table(BTreeMap<String, Property>),
}

impl Property {
    /// The names and values below a name, in librdkafka's words.
    pub fn flat(&self, name: &str) -> Vec<(String, String)> {
        let one = |value: String| vec![(name.to_owned(), value)];
        match self {
            Property::Text(text) => one(text.clone()),
            Property::Number(number) => one(number.to_string()),
            Property::Switch(on) => one(on.to_string()),
            Property::Table(table) => {
                table.iter().flat_map(|(below, value)| value.flat(&format!("{name}.{below}"))).collect()
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileDomain {
    pub source: Option<String>,
    pub topics: Option<Vec<String>>,
    pub encoding: Option<FileEncoding>,
    pub order_by: Option<FileOrderBy>,
    pub gaps: Option<Gaps>,
    pub fresh_within: Option<Millis<0>>,
    pub stale_after: Option<Millis<0>>,
    pub quiet_after: Option<Millis<0>>,
}

/// Where dead letters are written beside.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDeadLetters {
    pub source: String,
    pub topic: String,
}

/// The embedded log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLog {
    pub retention: Retention,
}

/// Documents that are known from the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDocuments {
    /// Files or folders, seen from this one.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    #[serde(default)]
    pub only: bool,
}

/// Where checkpoints lie, and how many.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCheckpoints {
    pub url: Option<String>,
    pub every: Option<Millis<1000>>,
    pub keep: Option<Positive>,
    pub write: Option<bool>,
}

/// Who may ask.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileAuth {
    pub anonymous: Option<Vec<String>>,
    #[serde(default)]
    pub tokens: Vec<FileToken>,
    #[serde(default)]
    pub issuers: Vec<FileIssuer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileToken {
    pub name: String,
    pub sha256: String,
    pub scopes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIssuer {
    pub issuer: String,
    pub audience: OneOrMore,
    /// A URL, or a file, seen from this one.
    pub jwks: String,
    pub algorithms: Vec<String>,
    pub scopes_claim: Option<String>,
    pub leeway: Option<Millis<0>>,
}

/// A text, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "is a text, or a list of texts")]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub fn list(&self) -> Vec<String> {
        match self {
            OneOrMore::One(text) => vec![text.clone()],
            OneOrMore::More(texts) => texts.clone(),
        }
    }
}

/// By which certificate the service is asked. Files in PEM, seen from this one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
}

/// Which rows of an entity may be seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileAccess {
    pub entity: String,
    pub filter: Option<String>,
    #[serde(default)]
    pub unless: BTreeMap<String, ClaimValues>,
    #[serde(default)]
    pub require: bool,
    #[serde(default)]
    pub open: bool,
}

/// What a claim may be: one value, or one of a list.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "is a text, a number, a truth value, or a list of those")]
pub enum ClaimValues {
    More(Vec<ClaimValue>),
    One(ClaimValue),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ClaimValue {
    Text(String),
    Number(i64),
    Truth(bool),
}

/// A table's rows into canonical events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMapping {
    pub source: Option<String>,
    pub topic: String,
    /// A jq program's file, seen from this one.
    pub program: PathBuf,
    /// What the connector writes for a column that was not sent, where that is not Debezium's usual text.
    pub unavailable_value: Option<String>,
}

/// A topic that tells where a database's transactions begin and end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTransactions {
    pub topic: String,
    pub hold_max: Option<Millis<0>>,
    /// By the name that it has for a table: the table's topic.
    #[serde(default)]
    pub tables: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileEncoding {
    Json,
    Avro,
    Protobuf,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileOrderBy {
    Sequence,
    Position,
    Time,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Gaps {
    Report,
    Ignore,
}

/// A file, read.
#[derive(Debug, Default)]
pub struct File {
    pub options: Options,
    pub logs: LogOptions,
    pub sections: Sections,
    pub places: Places,
    /// Whether a whole section had to be left out: what refers to it is not to be judged then.
    pub is_cut: bool,
}

/// Where things stand in the file.
#[derive(Debug, Default)]
pub struct Places {
    path: String,
    text: String,
    /// By the path of keys; an item of an array by its number.
    spans: HashMap<Vec<String>, Range<usize>>,
}

impl Places {
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The place of what lies at a path of keys, or of what is nearest above it.
    pub fn of(&self, keys: &[&str]) -> String {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let span = (1..=keys.len()).rev().find_map(|depth| self.spans.get(&keys[..depth]));
        self.at(span.cloned())
    }

    fn note(&mut self, keys: &mut Vec<String>, value: &Spanned<DeValue<'_>>) {
        self.spans.insert(keys.clone(), value.span());
        let below: Vec<(String, &Spanned<DeValue<'_>>)> = match value.get_ref() {
            DeValue::Table(table) => table.iter().map(|(key, value)| (key.get_ref().to_string(), value)).collect(),
            DeValue::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
            _ => Vec::new(),
        };
        for (key, value) in below {
            keys.push(key);
            self.note(keys, value);
            keys.pop();
        }
    }

    fn at(&self, span: Option<Range<usize>>) -> String {
        let Some(before) = span.and_then(|span| self.text.get(..span.start)) else { return self.path.clone() };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.path)
    }
}

/// Reads a configuration file. Every fault of its form is a line that says where and what; what is left is read all the
/// same. The error is of a file that cannot be read, or that is no TOML.
pub fn read(path: &Path, faults: &mut Vec<String>) -> Result<File, Vec<String>> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| vec![format!("{} cannot be read: {error}", path.display())])?;
    let (table, errors) = DeTable::parse_recoverable(&text);
    let mut places = Places { path: path.display().to_string(), text: text.clone(), spans: HashMap::new() };
    if !errors.is_empty() {
        let told =
            |error: &toml::de::Error| format!("{}: {}", places.at(error.span()), explained(error.message(), None));
        return Err(errors.iter().map(told).collect());
    }
    table.get_ref().iter().for_each(|(key, value)| places.note(&mut vec![key.get_ref().to_string()], value));
    let span = table.span();
    let part = |is_of: &dyn Fn(&str) -> bool| {
        let own = table.get_ref().iter().filter(|(key, _)| is_of(key.get_ref()));
        Spanned::new(span.clone(), own.map(|(key, value)| (key.clone(), value.clone())).collect::<DeTable<'_>>())
    };
    let mut is_cut = false;
    let mut sections: Sections =
        tolerant(part(&|key| SECTIONS.contains(&key)), &places, faults, &mut is_cut).unwrap_or_default();
    let logs = tolerant(part(&|key| LOGS.contains(&key)), &places, faults, &mut false).unwrap_or_default();
    let is_option = |key: &str| !SECTIONS.contains(&key) && !LOGS.contains(&key);
    let options = tolerant(part(&is_option), &places, faults, &mut false).unwrap_or_default();
    for source in sections.sources.values_mut() {
        source.flat = source.properties.iter().flat_map(|(name, value)| value.flat(name)).collect();
    }
    Ok(File { options, logs, sections, places, is_cut })
}

/// Reads what a table holds, and leaves out each part that is at fault.
fn tolerant<T: DeserializeOwned>(
    mut table: Spanned<DeTable<'_>>,
    places: &Places,
    faults: &mut Vec<String>,
    is_cut: &mut bool,
) -> Option<T> {
    let mut gone: Vec<String> = Vec::new();
    loop {
        match T::deserialize(Deserializer::from(table.clone())) {
            Ok(read) => return Some(read),
            Err(error) => {
                let left_out = error.span().and_then(|span| leave_out(table.get_mut(), &span));
                let key = left_out.as_ref().filter(|(_, was_table)| !was_table).map(|(key, _)| key.as_str());
                // What was there and wrong is not missing.
                let missing = error.message().strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
                if !missing.is_some_and(|missing| gone.iter().any(|gone| gone == missing)) {
                    faults.push(format!("{}: {}", places.at(error.span()), explained(error.message(), key)));
                }
                match left_out {
                    Some((key, was_table)) => {
                        *is_cut |= was_table;
                        gone.push(key);
                    }
                    None => {
                        *is_cut = true;
                        return None;
                    }
                }
            }
        }
    }
}

/// Takes out the innermost entry that a span is of. Gives its key, and whether it was a table.
fn leave_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<(String, bool)> {
    let covers = |own: Range<usize>| own.start <= span.start && span.end <= own.end;
    for (key, value) in table.iter_mut() {
        let found = match value.get_mut() {
            DeValue::Table(below) => leave_out(below, span),
            DeValue::Array(items) => {
                let in_table = items.iter_mut().find_map(|item| match item.get_mut() {
                    DeValue::Table(below) => leave_out(below, span),
                    _ => None,
                });
                let whole = items.iter().position(|item| item.get_ref().is_table() && covers(item.span()));
                match (in_table, whole) {
                    (None, Some(index)) => {
                        let others = items.iter().enumerate().filter(|(other, _)| *other != index);
                        *items = others.map(|(_, item)| item.clone()).collect();
                        Some((key.get_ref().to_string(), true))
                    }
                    (found, _) => found,
                }
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    let key = table.iter().find(|(key, value)| covers(key.span()) || covers(value.span()))?.0.get_ref().to_string();
    let value = table.remove(key.as_str())?;
    Some((key, value.get_ref().is_table()))
}

/// Serde lists what it expected; a person wants the nearest of it.
fn explained(message: &str, key: Option<&str>) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") || message.starts_with("unknown variant") => {
            let is_key = message.starts_with("unknown field");
            // Of the file's own keys any may be meant.
            let more: &[&str] = if is_key && known.contains(&"listen") { &SECTIONS } else { &[] };
            let more = more.iter().chain(if more.is_empty() { &[][..] } else { &LOGS[..] });
            let known: Vec<&str> = known.iter().chain(more).copied().collect();
            let near = nearest(unknown, known.iter().copied());
            let what = if is_key { "key" } else { "value" };
            if near.is_empty() {
                format!("unknown {what} `{unknown}`: there are {}", known.join(", "))
            } else {
                format!("unknown {what} `{unknown}`{near}")
            }
        }
        _ => {
            let first = message.lines().next().unwrap_or_default();
            // `invalid type: integer `30`, expected a duration: …`, or what a value says of itself.
            let form = first.strip_prefix("is ").or_else(|| first.split_once(", expected ").map(|(_, form)| form));
            match (key, form, first.strip_prefix("missing field ")) {
                (Some(key), Some(form), _) => format!("`{key}` is {form}"),
                (_, _, Some(missing)) => format!("{missing} is missing"),
                _ => first.to_owned(),
            }
        }
    }
}
