//! Where databases tell the boundaries of their transactions, checked against the topics that are read.

use std::collections::HashMap;

use super::TopicConfig;
use super::file::{FileTransactions, Places, Sections};
use crate::ids::{By, DomainId, TopicId};
use crate::model::nearest;
use crate::projection::Boundaries;

/// How long what does not come is waited for, unless the file says.
const HOLD_MS_MAX: i64 = 10_000;

/// Adds the topics that tell boundaries behind those that the domains name.
pub fn read(
    file: &Sections,
    places: &Places,
    topics: &mut By<TopicId, TopicConfig>,
    faults: &mut Vec<String>,
) -> Vec<Boundaries> {
    let mut all: Vec<Boundaries> = Vec::new();
    for (number, given) in file.transactions.iter().enumerate() {
        let of = |fault: String| {
            let place = places.of(&["transactions", &number.to_string(), "topic"]);
            format!("{place}: [[transactions]] of topic `{}`: {fault}", given.topic)
        };
        let hold_max_ms = given.hold_max.map_or(HOLD_MS_MAX, |given| given.0);
        if topics.iter().any(|topic| topic.name == given.topic) {
            faults.push(of("it is read as another topic already".into()));
            continue;
        }
        match tables(given, topics) {
            Ok(tables) => {
                let is_taken =
                    |table: &TopicId| all.iter().any(|other| other.tables.values().any(|known| known == table));
                if let Some(table) = tables.values().find(|table| is_taken(table)) {
                    faults.push(of(format!("`{}` is another's table already", topics[*table].name)));
                    continue;
                }
                let of_tables = || tables.values().filter_map(|table| topics.get(*table));
                let mut domains: Vec<DomainId> = of_tables().flat_map(|table| table.domains.clone()).collect();
                domains.sort_unstable();
                domains.dedup();
                let Some(first) = of_tables().next() else { continue };
                // One worker writes all of them, in one way.
                let boundaries = TopicConfig {
                    source: first.source,
                    name: given.topic.clone(),
                    domains,
                    encoding: first.encoding,
                    mapping: None,
                    tells_boundaries: true,
                };
                if let Some(other) = of_tables().find(|table| table.source != first.source) {
                    let (first, other) = (&first.name, &other.name);
                    faults.push(of(format!("its tables are read from two sources, `{first}` and `{other}`")));
                }
                all.push(Boundaries { topic: topics.push(boundaries), tables, hold_max_ms });
            }
            Err(fault) => faults.push(of(fault)),
        }
    }
    all
}

/// The topics of a database's tables by the names of those: what the file says, and `<prefix>.<table>` where the prefix is the
/// boundaries' own.
fn tables(given: &FileTransactions, topics: &By<TopicId, TopicConfig>) -> Result<HashMap<Box<str>, TopicId>, String> {
    let mapped = || topics.entries().filter(|(_, topic)| topic.mapping.is_some());
    let mut tables = HashMap::new();
    if let Some((prefix, _)) = given.topic.rsplit_once('.') {
        for (id, topic) in mapped() {
            if let Some(table) = topic.name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) {
                tables.insert(table.into(), id);
            }
        }
    }
    for (table, name) in &given.tables {
        let Some((id, _)) = mapped().find(|(_, topic)| topic.name == *name) else {
            let near = nearest(name, mapped().map(|(_, topic)| topic.name.as_str()));
            return Err(format!("its table `{table}` is in topic `{name}`, which has no [[mappings]]{near}"));
        };
        tables.insert(table.as_str().into(), id);
    }
    match tables.is_empty() {
        false => Ok(tables),
        true => {
            Err("no topic with a mapping is of its tables: name them, `tables = { \"schema.table\" = \"topic\" }`"
                .into())
        }
    }
}
