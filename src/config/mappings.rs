//! The mappings of a configuration: each checked against the topics that are read, its program compiled.

use std::path::Path;
use std::sync::Arc;

use super::file::{FileMapping, Places, Sections};
use super::{SourceConfig, TopicConfig};
use crate::cdc::Mapping;
use crate::model::nearest;

/// Compiles the file's mappings into the topics that they are for. Its programs are seen from its folder.
pub fn read(
    file: &Sections,
    places: &Places,
    sources: &[SourceConfig],
    topics: &mut [TopicConfig],
    faults: &mut Vec<String>,
) {
    for (number, mapping) in file.mappings.iter().enumerate() {
        let at = |key: &str| places.of(&["mappings", &number.to_string(), key]);
        let FileMapping { source, topic: name, program, unavailable_value } = mapping;
        let known = topics.iter().position(|topic| topic.name == *name);
        let Some(index) = known else {
            let near = nearest(name, topics.iter().map(|topic| topic.name.as_str()));
            let near = match near.as_str() {
                "" => ": name it in the `topics` of each domain whose events it carries",
                near => near,
            };
            faults.push(format!("{}: [[mappings]] of topic `{name}`: no domain reads it{near}", at("topic")));
            continue;
        };
        let topic = &mut topics[index];
        let read_from = sources.get(topic.source).map_or("", |source| source.name.as_str());
        if source.as_ref().is_some_and(|source| source != read_from) {
            let place = at("source");
            faults.push(format!("{place}: [[mappings]] of topic `{name}`: its domain reads it from `{read_from}`"));
            continue;
        }
        if topic.mapping.is_some() {
            let place = at("topic");
            faults
                .push(format!("{place}: [[mappings]] of topic `{name}`: it has two; one program makes all its events"));
            continue;
        }
        let program = Path::new(places.path()).parent().map_or(program.clone(), |folder| folder.join(program));
        let shown = program.display().to_string();
        match std::fs::read_to_string(&program) {
            Ok(text) => match Mapping::compile(name, &shown, &text) {
                Ok(mapping) => {
                    let mapping = match unavailable_value {
                        Some(placeholder) => mapping.with_unavailable(placeholder),
                        None => mapping,
                    };
                    topic.mapping = Some(Arc::new(mapping));
                }
                Err(all) => faults.extend(all),
            },
            Err(error) => {
                let place = at("program");
                faults.push(format!("{place}: [[mappings]] of topic `{name}`: {shown} cannot be read: {error}"));
            }
        }
    }
}
