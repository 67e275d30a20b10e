//! A model's directives: which may stand where, and what their arguments say.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveList, Value as AstValue};
use apollo_compiler::parser::SourceSpan;

use super::reader::{ModelReader, nearest};

impl ModelReader<'_> {
    pub(super) fn check_word(&mut self, place: Option<SourceSpan>, what: &str, word: &str) {
        let valid = !word.is_empty()
            && word.len() <= 200
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !valid {
            self.fault(place, format!("`{what}` is a word of letters, digits, `-` and `_`, and `{word}` is none"));
        } else if word.starts_with("__") {
            self.fault(place, format!("`{word}` starts with `__`, which GraphQL keeps for itself"));
        }
    }

    /// The directives, those that are unknown or repeated left out and said.
    pub(super) fn known(&mut self, list: &DirectiveList, allowed: &[&str], place_name: &str) -> Vec<Node<Directive>> {
        let mut kept: Vec<Node<Directive>> = Vec::new();
        for directive in &list.0 {
            let name = directive.name.as_str();
            if !allowed.contains(&name) {
                let near = nearest(name, allowed.iter().copied());
                let known = allowed.iter().map(|name| format!("@{name}")).collect::<Vec<_>>().join(", ");
                let near =
                    if near.is_empty() { format!(": {place_name} takes {known}") } else { near.replace('`', "") };
                self.fault(directive.location(), format!("@{name} is not known on {place_name}{near}"));
            } else if name != "check" && kept.iter().any(|other| other.name == directive.name) {
                self.fault(directive.location(), format!("@{name} stands here twice"));
            } else {
                kept.push(directive.clone());
            }
        }
        kept
    }

    pub(super) fn no_directives(&mut self, list: &DirectiveList, place_name: &str) {
        for directive in &list.0 {
            self.fault(
                directive.location(),
                format!("@{} is not known on {place_name}, which takes none", directive.name),
            );
        }
    }

    pub(super) fn arguments(&mut self, directive: &Node<Directive>, allowed: &[&str]) {
        for argument in &directive.arguments {
            if !allowed.contains(&argument.name.as_str()) {
                let near = nearest(&argument.name, allowed.iter().copied());
                self.fault(argument.location(), format!("@{} takes no `{}`{near}", directive.name, argument.name));
            }
        }
    }

    pub(super) fn text(&mut self, directive: &Node<Directive>, name: &str, required: bool) -> Option<String> {
        match argument(directive, name).map(|value| value.as_ref()) {
            Some(AstValue::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(_) => {
                self.fault(
                    directive.location(),
                    format!("`{name}` of @{} is a text: write `{name}: \"…\"`", directive.name),
                );
                None
            }
            None if required => {
                self.fault(
                    directive.location(),
                    format!("@{} needs `{name}`: write `@{}({name}: \"…\")`", directive.name, directive.name),
                );
                None
            }
            None => None,
        }
    }

    /// The second parts of event types that a directive names.
    pub(super) fn events(&mut self, directive: &Node<Directive>) -> Vec<String> {
        if directive.name != "entity" {
            self.arguments(directive, &["events"]);
        }
        let wanted = format!("write `@{}(events: [\"…\"])`", directive.name);
        let items: Vec<Node<AstValue>> = match argument(directive, "events").map(|value| value.as_ref()) {
            Some(AstValue::List(items)) if !items.is_empty() => items.clone(),
            _ => {
                self.fault(directive.location(), format!("@{} needs the events' names: {wanted}", directive.name));
                return Vec::new();
            }
        };
        let mut events = Vec::new();
        for item in items {
            match item.as_ref() {
                AstValue::String(name) if matches!(name.as_str(), "deleted" | "erased" | "merged") => {
                    self.fault(
                        item.location(),
                        format!("`{name}` is every entity's own event: a model does not name it"),
                    );
                }
                AstValue::String(name) if !name.is_empty() => events.push(name.clone()),
                _ => self.fault(
                    item.location(),
                    format!("an event's name is a text, what follows the first dot of its type: {wanted}"),
                ),
            }
        }
        events
    }
}

pub(super) fn argument<'a>(directive: &'a Node<Directive>, name: &str) -> Option<&'a Node<AstValue>> {
    directive.arguments.iter().find(|argument| argument.name == name).map(|argument| &argument.value)
}
