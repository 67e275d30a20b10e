//! SDL into a [`Model`], with every fault's place, what is wrong, and what to write instead.

use std::collections::{HashMap, HashSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{self, Definition};
use apollo_compiler::parser::{Parser, SourceSpan};

use super::directives::argument;
use super::reader::{Fault, ModelReader};
use super::{Check, Domain, Effect, Entity, EnumValue, Enumeration, Field, Kind, Model, Reverse, Rule, names};
use crate::ids::{By, EntityId, FieldId, Id};

/// Types of a model, fields of a type, and values of an enum, at most: what their ids can number.
const MEMBERS_MAX: usize = u16::MAX as usize;

pub fn read(text: &str, path: &str) -> Result<Model, Vec<Fault>> {
    let (document, syntax) = match Parser::new().parse_ast(text, path) {
        Ok(document) => (document, Vec::new()),
        Err(with_errors) => {
            let faults = with_errors.errors.iter().map(|error| {
                let place = error.line_column_range().map_or((1, 1), |range| (range.start.line, range.start.column));
                Fault { path: path.into(), line: place.0, column: place.1, message: error.error.to_string() }
            });
            let faults = faults.collect();
            (with_errors.partial, faults)
        }
    };
    let is_blank = text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'));
    // A blank text is a syntax error to the parser, and an empty model to a person.
    if !syntax.is_empty() && !is_blank {
        return Err(syntax);
    }
    let mut reader = ModelReader { path, sources: document.sources.clone(), faults: Vec::new() };
    let model = reader.model(&document);
    if reader.faults.is_empty() {
        return Ok(model);
    }
    reader.faults.sort();
    reader.faults.dedup();
    Err(reader.faults)
}

/// A link, derived field or check whose meaning is read once all types are known.
struct Later {
    entity: EntityId,
    place: Option<SourceSpan>,
    what: LaterKind,
}

enum LaterKind {
    Reverse { field: FieldId, name: String },
    OccurredAt { field: FieldId, events: Vec<String> },
    Derive { field: FieldId, rule: String },
    Check { rule: String },
}

impl ModelReader<'_> {
    fn model(&mut self, document: &ast::Document) -> Model {
        let mut types = Vec::new();
        let mut enum_definitions = Vec::new();
        for definition in &document.definitions {
            match definition {
                Definition::ObjectTypeDefinition(object) => types.push(object),
                Definition::EnumTypeDefinition(definition) => enum_definitions.push(definition),
                other => self.fault(other.location(), "only `type` and `enum` belong in a model"),
            }
        }
        if types.is_empty() && self.faults.is_empty() {
            self.fault(
                None,
                "a model has at least one type: write `type Name @entity(domain: \"names\", event: \"name\") { … }`",
            );
        }
        let many = types.iter().find(|object| object.fields.len() > MEMBERS_MAX);
        if let Some(object) = many {
            let message = format!("{} has more than {MEMBERS_MAX} fields: give some to another type", object.name);
            self.fault(object.location(), message);
        }
        if let Some(object) = types.get(MEMBERS_MAX) {
            self.fault(object.location(), format!("a model has at most {MEMBERS_MAX} types: this is one more"));
        }
        if many.is_some() || types.len() > MEMBERS_MAX {
            return Model::default();
        }
        let mut enum_effects = Vec::new();
        let mut enums = Vec::new();
        for definition in &enum_definitions {
            let (enumeration, effects) = self.enumeration(definition);
            enums.push(enumeration);
            enum_effects.push(effects);
        }
        let entity_names: Vec<String> = types.iter().map(|object| object.name.to_string()).collect();
        let sdl = document.to_string();
        let mut model = Model { enums, fingerprint: fingerprint(&sdl), sdl, ..Model::default() };
        let mut later = Vec::new();
        for (index, object) in types.iter().enumerate() {
            let entity = self.entity(EntityId::of(index), object, &entity_names, &mut model, &mut later);
            model.entities.push(entity);
        }
        for entity in &mut model.entities {
            set_by_events(entity, &enum_effects);
        }
        // Links first: a rule may not read one, and says so by the finished fields.
        later.sort_by_key(|later| matches!(later.what, LaterKind::Derive { .. } | LaterKind::Check { .. }));
        for item in later {
            self.finish(&mut model, item);
        }
        for (entity, object) in model.entities.iter().zip(&types) {
            self.check_derived_cycles(entity, object);
        }
        self.check_names(&model, &types, &enum_definitions);
        model
    }

    /// A description, which the schema's text has between three quotes.
    fn description(&mut self, given: &Option<Node<str>>) -> Option<String> {
        let given = given.as_ref()?;
        if given.contains("\"\"\"") || given.ends_with(['"', '\\']) {
            self.fault(
                given.location(),
                "a description has no three quotes in a row, and no quote or backslash at its end: the schema's text ends it by \
                 three quotes",
            );
        }
        Some(given.to_string())
    }

    fn enumeration(&mut self, definition: &Node<ast::EnumTypeDefinition>) -> (Enumeration, HashMap<String, u16>) {
        let mut effects = HashMap::new();
        let mut values: Vec<EnumValue> = Vec::new();
        self.no_directives(&definition.directives, "an enum");
        for (index, value) in definition.values.iter().enumerate() {
            if values.iter().any(|known| known.name == value.value.as_str()) {
                self.fault(value.location(), format!("`{}` is declared twice in {}", value.value, definition.name));
            }
            for directive in self.known(&value.directives, &["on"], "an enum value") {
                for event in self.events(&directive) {
                    if effects.insert(event.clone(), index as u16).is_some() {
                        let message = format!("event `{event}` sets two values of {}: name it at one", definition.name);
                        self.fault(directive.location(), message);
                    }
                }
            }
            if value.value.starts_with("__") {
                let message = format!("`{}` starts with `__`, which GraphQL keeps for itself", value.value);
                self.fault(value.location(), message);
            }
            let description = self.description(&value.description);
            values.push(EnumValue { name: value.value.to_string(), description });
        }
        if values.len() > MEMBERS_MAX {
            self.fault(definition.location(), format!("an enum has at most {MEMBERS_MAX} values"));
        }
        let enumeration = Enumeration {
            name: definition.name.to_string(),
            description: self.description(&definition.description),
            values,
        };
        (enumeration, effects)
    }

    fn entity(
        &mut self,
        index: EntityId,
        object: &Node<ast::ObjectTypeDefinition>,
        entity_names: &[String],
        model: &mut Model,
        later: &mut Vec<Later>,
    ) -> Entity {
        let name = object.name.to_string();
        let directives = self.known(&object.directives, &["entity", "check"], "a type");
        let mut domain_name = String::new();
        let (mut event, mut plural, mut known_events) = (String::new(), None, Vec::new());
        let mut seen = false;
        for directive in &directives {
            if directive.name == "check" {
                if let Some(rule) = self.text(directive, "rule", true) {
                    self.arguments(directive, &["rule"]);
                    later.push(Later { entity: index, place: directive.location(), what: LaterKind::Check { rule } });
                }
                continue;
            }
            seen = true;
            self.arguments(directive, &["domain", "event", "events", "plural"]);
            domain_name = self.text(directive, "domain", true).unwrap_or_default();
            event = self.text(directive, "event", true).unwrap_or_default();
            plural = self.text(directive, "plural", false);
            if argument(directive, "events").is_some() {
                known_events = self.events(directive);
            }
            self.check_word(directive.location(), "domain", &domain_name);
            self.check_word(directive.location(), "event", &event);
        }
        if !seen {
            self.fault(
                object.name.location(),
                format!("type {name} has no @entity: write `type {name} @entity(domain: \"…\", event: \"…\")`"),
            );
        }
        if !object.implements_interfaces.is_empty() {
            self.fault(object.location(), format!("{name} implements an interface: every entity is an Entity already"));
        }
        let domain = match model.domain_named(&domain_name) {
            Some(domain) => domain,
            None => model.domains.push(Domain { name: domain_name.clone(), entities: Vec::new() }),
        };
        model.domains[domain].entities.push(index);
        if let Some(other) = model.entities.iter().find(|entity| entity.event == event && !event.is_empty()) {
            self.fault(
                object.location(),
                format!("{name} and {} have one event prefix, `{event}`: give each its own", other.name),
            );
        }
        let mut singular = name.clone();
        singular[..1].make_ascii_lowercase();
        let mut entity = Entity {
            name,
            description: self.description(&object.description),
            domain,
            event,
            singular,
            plural: plural.unwrap_or(domain_name),
            fields: By::default(),
            checks: Vec::new(),
            reverses: Vec::new(),
            has_personal: false,
            known_events,
            effects: HashMap::new(),
            by_wire_name: HashMap::new(),
        };
        for definition in &object.fields {
            self.field(index, &mut entity, definition, entity_names, model, later);
        }
        if entity.fields.is_empty() {
            self.fault(object.location(), format!("{} has no fields", entity.name));
        }
        entity.has_personal = entity.fields.iter().any(|field| field.personal);
        entity
    }

    fn field(
        &mut self,
        entity_index: EntityId,
        entity: &mut Entity,
        definition: &Node<ast::FieldDefinition>,
        entity_names: &[String],
        model: &Model,
        later: &mut Vec<Later>,
    ) {
        let name = definition.name.to_string();
        let place = definition.name.location();
        if entity.field_named(&name).is_some() {
            self.fault(place, format!("`{name}` is declared twice in {}", entity.name));
            return;
        }
        if names::FIELDS.contains(&name.as_str()) || name.starts_with("__") {
            self.fault(place, format!("`{name}` is a name that every entity's schema uses: choose another"));
        }
        if !definition.arguments.is_empty() {
            self.fault(place, format!("`{name}` takes arguments: a model's field takes none"));
        }
        let Some(kind) = self.kind(&definition.ty, place, entity_names, model) else { return };
        let index = FieldId::of(entity.fields.len());
        let allowed = ["link", "index", "search", "personal", "occurredAt", "derive"];
        let directives = self.known(&definition.directives, &allowed, "a field");
        let has = |wanted: &str| directives.iter().find(|directive| directive.name == wanted);
        let is_link = kind.link().is_some();
        if is_link && has("link").is_none() {
            self.fault(
                place,
                format!("`{name}` is an entity: write `{name}: {} @link(reverse: \"…\")`", definition.ty),
            );
        }
        for directive in &directives {
            let at = directive.location();
            match directive.name.as_str() {
                "link" if !is_link => {
                    self.fault(
                        at,
                        format!("@link is for a field whose type is an entity, and {} is none", definition.ty),
                    );
                }
                "link" => {
                    self.arguments(directive, &["reverse"]);
                    if let Some(name) = self.text(directive, "reverse", false) {
                        later.push(Later {
                            entity: entity_index,
                            place: at,
                            what: LaterKind::Reverse { field: index, name },
                        });
                    }
                }
                "index" if is_link || matches!(kind, Kind::Json | Kind::List(_)) => {
                    self.fault(at, "@index is for scalars, enums, Money and GeoPoint; links are found without it");
                }
                "search" if !matches!(&kind, Kind::String) && kind != Kind::List(Box::new(Kind::String)) => {
                    self.fault(at, "@search is for String and [String!]");
                }
                "personal" if is_link => {
                    self.fault(at, "@personal is for values: a link holds a key, and keys are never personal")
                }
                "index" | "search" | "personal" => self.arguments(directive, &[]),
                "occurredAt" => {
                    if kind != Kind::DateTime {
                        self.fault(at, format!("@occurredAt is for a DateTime, and `{name}` is {}", definition.ty));
                    }
                    let events = self.events(directive);
                    later.push(Later {
                        entity: entity_index,
                        place: at,
                        what: LaterKind::OccurredAt { field: index, events },
                    });
                }
                _ => {
                    self.arguments(directive, &["rule"]);
                    if has("occurredAt").is_some() {
                        self.fault(at, "a field is either derived or set by events, not both");
                    }
                    if let Some(rule) = self.text(directive, "rule", true) {
                        later.push(Later {
                            entity: entity_index,
                            place: at,
                            what: LaterKind::Derive { field: index, rule },
                        });
                    }
                }
            }
        }
        let wire_name = if is_link { format!("{name}Id") } else { name.clone() };
        if let Some(other) = entity.by_wire_name.insert(wire_name.clone(), index) {
            let other = &entity.fields[other].name;
            self.fault(place, format!("`{name}` and `{other}` are both `{wire_name}` in an event's data: rename one"));
        }
        entity.fields.push(Field {
            wire_name,
            description: self.description(&definition.description),
            indexed: has("index").is_some(),
            searchable: has("search").is_some(),
            personal: has("personal").is_some(),
            derived: None,
            name,
            kind,
        });
    }

    fn finish(&mut self, model: &mut Model, later: Later) {
        let Later { entity, place, what } = later;
        match what {
            LaterKind::Reverse { field, name } => self.reverse(model, entity, field, name, place),
            LaterKind::OccurredAt { field, events } => {
                for event in events {
                    model.entities[entity].effects.entry(event).or_default().push(Effect::OccurredAt { field });
                }
            }
            LaterKind::Derive { field, rule } => {
                match Rule::compile(&rule, &model.entities[entity].fields, &model.enums) {
                    Ok(rule) => {
                        let fields = &model.entities[entity].fields;
                        if !rule.result.fits(&fields[field].kind) {
                            let wanted = model.type_name(&fields[field].kind);
                            self.fault(
                                place,
                                format!("the rule's result does not fit `{}: {wanted}`", fields[field].name),
                            );
                        }
                        if rule.fields.is_empty() {
                            self.fault(place, format!("the rule of `{}` reads no field", fields[field].name));
                        }
                        if !fields[field].personal && rule.fields.iter().any(|read| fields[*read].personal) {
                            self.fault(
                                place,
                                format!("`{}` is derived from personal data: mark it @personal", fields[field].name),
                            );
                        }
                        model.entities[entity].fields[field].derived = Some(rule);
                    }
                    Err(message) => self.fault(place, message),
                }
            }
            LaterKind::Check { rule: text } => match Rule::compile(&text, &model.entities[entity].fields, &model.enums)
            {
                Ok(rule) => {
                    if rule.result != super::rule::ResultKind::Boolean {
                        self.fault(place, format!("the check `{text}` is no condition: write a comparison"));
                    } else if rule.fields.is_empty() {
                        self.fault(place, format!("the check `{text}` reads no field"));
                    }
                    model.entities[entity].checks.push(Check { text, rule });
                }
                Err(message) => self.fault(place, message),
            },
        }
    }

    fn reverse(
        &mut self,
        model: &mut Model,
        entity: EntityId,
        field: FieldId,
        name: String,
        place: Option<SourceSpan>,
    ) {
        let Some(target) = model.entities[entity].fields[field].kind.link() else { return };
        let owner = &model.entities[target];
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name || name.starts_with("__") {
            self.fault(place, format!("`{name}` is no GraphQL name: write letters, digits and `_`"));
        } else if owner.field_named(&name).is_some() || names::FIELDS.contains(&name.as_str()) {
            self.fault(place, format!("{} has a field `{name}` already: give the reverse another name", owner.name));
        } else if owner.reverses.iter().any(|reverse| reverse.name == name) {
            self.fault(place, format!("{} has a reverse `{name}` already: give this one another name", owner.name));
        } else {
            model.entities[target].reverses.push(Reverse { name, entity, field });
        }
    }

    fn check_derived_cycles(&mut self, entity: &Entity, object: &Node<ast::ObjectTypeDefinition>) {
        for (start, field) in entity.fields.entries() {
            let mut waiting: Vec<FieldId> = field.derived.iter().flat_map(|rule| rule.fields.clone()).collect();
            let mut seen = HashSet::new();
            while let Some(next) = waiting.pop() {
                if next == start {
                    let place = object.fields.get(start.index()).and_then(|definition| definition.location());
                    self.fault(place, format!("`{}` is derived from itself", field.name));
                    break;
                }
                if seen.insert(next) {
                    waiting.extend(entity.fields[next].derived.iter().flat_map(|rule| rule.fields.clone()));
                }
            }
        }
    }
}

fn set_by_events(entity: &mut Entity, enum_effects: &[HashMap<String, u16>]) {
    for (field, described) in entity.fields.entries() {
        if let Kind::Enum(enumeration) = described.kind {
            for (event, value) in &enum_effects[enumeration] {
                entity.effects.entry(event.clone()).or_default().push(Effect::Set { field, value: *value });
            }
        }
    }
}

/// FNV-1a over the model as the parser prints it, so that comments and blanks do not count.
fn fingerprint(sdl: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in sdl.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault of a model that has one member more than may be.
    fn check(model: impl Fn(String) -> String, member: impl Fn(usize) -> String, expected: &str) {
        let members: Vec<String> = (0..=MEMBERS_MAX).map(member).collect();
        let faults = read(&model(members.join("\n")), "large.graphql").expect_err("it is too large");
        let said: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(said, [expected]);
    }

    #[test]
    fn what_an_id_cannot_number_is_refused() {
        let of_fields = |fields: String| format!("type A @entity(domain: \"a\", event: \"a\") {{\n{fields}\n}}");
        let field = |number: usize| format!("f{number}: Int");
        check(of_fields, field, "A has more than 65535 fields: give some to another type");
        let of_types = |types: String| types;
        let member = |number: usize| {
            format!("type T{number} @entity(domain: \"d\", event: \"e{number}\", plural: \"p{number}\") {{ f: Int }}")
        };
        check(of_types, member, "a model has at most 65535 types: this is one more");
    }
}
