//! Documents over the schema that is served, made of bytes: each byte is a choice, and where they end the simplest is chosen. So a
//! generator of bytes, of a test or of a fuzzer, is one of documents, and shorter bytes are simpler documents.
//!
//! A document is written twice: as it is asked of the service, and without what the reference cannot read (see `faults`).

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::Schema;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition, Type};
use apollo_compiler::schema::ExtendedType;
use serde_json::{Map, Value as Json};

use super::faults::Fault;
use super::world::KEYS;

/// Selections of a document at most.
const SELECTIONS_MAX: usize = 40;
const DEPTH_MAX: usize = 7;

/// A text for each of the two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Both<T> {
    pub ours: T,
    pub theirs: T,
}

impl<T: Clone> Both<T> {
    fn same(value: T) -> Both<T> {
        Both { ours: value.clone(), theirs: value }
    }
}

impl Both<String> {
    fn push(&mut self, text: &str) {
        self.ours.push_str(text);
        self.theirs.push_str(text);
    }

    fn add(&mut self, other: &Both<String>) {
        self.ours.push_str(&other.ours);
        self.theirs.push_str(&other.theirs);
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub text: Both<String>,
    pub variables: Both<Json>,
    pub operation: Option<&'static str>,
    pub personal: bool,
    /// Whether an error makes null of its field alone.
    pub lenient: bool,
    /// What is wrong with it on purpose.
    pub flaw: Option<Flaw>,
    /// What is written otherwise for the reference.
    pub avoided: BTreeSet<Fault>,
}

/// What can be wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    UnknownField,
    UnknownArgument,
    MissingArgument,
    ArgumentTwice,
    LeafWithSelections,
    ObjectWithout,
    UndefinedVariable,
    UnusedVariable,
    VariableTwice,
    VariableOfOtherType,
    UnusedFragment,
    UndefinedFragment,
    FragmentInItself,
    FragmentTwice,
    FragmentThatNeverFits,
    FragmentOnScalar,
    WrongLiteral,
    UnknownEnumValue,
    UnknownMember,
    MemberTwice,
    TwoOfOne,
    NoneOfOne,
    NullForOne,
    NullLiteral,
    /// A text that is no date, nor a date and time.
    NoDate,
    UnknownDirective,
    DirectiveTwice,
    DirectiveWithoutCondition,
    DirectiveElsewhere,
    Conflict,
    WrongVariable,
    MissingVariable,
    UnknownOperation,
    TwoWithoutName,
}

impl Flaw {
    pub const ALL: [Flaw; 34] = [
        Flaw::UnknownField,
        Flaw::UnknownArgument,
        Flaw::MissingArgument,
        Flaw::ArgumentTwice,
        Flaw::LeafWithSelections,
        Flaw::ObjectWithout,
        Flaw::UndefinedVariable,
        Flaw::UnusedVariable,
        Flaw::VariableTwice,
        Flaw::VariableOfOtherType,
        Flaw::UnusedFragment,
        Flaw::UndefinedFragment,
        Flaw::FragmentInItself,
        Flaw::FragmentTwice,
        Flaw::FragmentThatNeverFits,
        Flaw::FragmentOnScalar,
        Flaw::WrongLiteral,
        Flaw::UnknownEnumValue,
        Flaw::UnknownMember,
        Flaw::MemberTwice,
        Flaw::TwoOfOne,
        Flaw::NoneOfOne,
        Flaw::NullForOne,
        Flaw::NullLiteral,
        Flaw::NoDate,
        Flaw::UnknownDirective,
        Flaw::DirectiveTwice,
        Flaw::DirectiveWithoutCondition,
        Flaw::DirectiveElsewhere,
        Flaw::Conflict,
        Flaw::WrongVariable,
        Flaw::MissingVariable,
        Flaw::UnknownOperation,
        Flaw::TwoWithoutName,
    ];
}

/// An input value.
#[derive(Clone, Debug)]
enum Given {
    Null,
    /// A number, a truth or an enum's value.
    Word(String),
    Enum(String),
    Text(String),
    /// An id written as a number.
    Number(i64),
    List(Vec<Given>),
    /// A list of one, without its brackets.
    Single(Box<Given>),
    Object(Vec<(String, Given)>),
    Variable(String),
}

struct Fragment {
    name: String,
    on: String,
    body: Both<String>,
}

struct Variable {
    name: String,
    of_type: String,
    default: Option<Both<String>>,
}

pub struct Generator<'a> {
    schema: &'a Schema,
    cursors: &'a [String],
    /// The types that fields and arguments lead to.
    reached: &'a BTreeSet<String>,
    bytes: &'a [u8],
    at: usize,
    left: usize,
    fragments: Vec<Fragment>,
    /// Fragments that are being written: none may spread itself.
    open: Vec<String>,
    variables: Vec<Variable>,
    values: Both<Map<String, Json>>,
    /// By key of the answer: the field that it stands for, everywhere in the document.
    keys: HashMap<String, String>,
    /// By field: arguments that it was given.
    arguments: HashMap<String, Vec<Both<String>>>,
    /// Whether a value is made that may hold no variable.
    is_constant: bool,
    flaw: Option<Flaw>,
    flawed: bool,
    avoided: BTreeSet<Fault>,
}

pub fn question(schema: &Schema, cursors: &[String], reached: &BTreeSet<String>, bytes: &[u8]) -> Question {
    let mut generator = Generator {
        schema,
        cursors,
        reached,
        bytes,
        at: 0,
        left: SELECTIONS_MAX,
        fragments: Vec::new(),
        open: Vec::new(),
        variables: Vec::new(),
        values: Both::default(),
        keys: HashMap::new(),
        arguments: HashMap::new(),
        is_constant: false,
        flaw: None,
        flawed: false,
        avoided: BTreeSet::new(),
    };
    generator.question()
}

fn scalar_literal(value: &str) -> Json {
    serde_json::from_str(value).unwrap()
}

impl<'a> Generator<'a> {
    fn byte(&mut self) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(byte)
    }

    fn pick(&mut self, of: usize) -> usize {
        if of > 1 { self.byte() % of } else { 0 }
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.pick(times) == times - 1
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let at = self.pick(of.len());
        of[at].clone()
    }

    /// Whether this flaw is to be made here.
    fn flaws(&mut self, flaw: Flaw) -> bool {
        let is_now = self.flaw == Some(flaw) && !self.flawed;
        self.flawed |= is_now;
        is_now
    }

    fn question(&mut self) -> Question {
        let personal = !self.once_in(3);
        let lenient = self.once_in(6);
        if self.once_in(4) {
            self.flaw = Some(self.one(&Flaw::ALL));
        }
        let mut body = self.set("Query", 0, false);
        let name = self.one(&["", "", "Asked"]);
        let mut text = Both::default();
        let shorthand = name.is_empty() && self.variables.is_empty() && !self.once_in(3);
        if self.flaws(Flaw::UnusedVariable) {
            self.variables.push(Variable { name: "idle".into(), of_type: "Int".into(), default: None });
        }
        if !shorthand || !self.variables.is_empty() {
            text.push("query ");
            text.push(name);
            if !self.variables.is_empty() {
                text.push("(");
                let twice = self.flaws(Flaw::VariableTwice);
                let defined = std::mem::take(&mut self.variables);
                for variable in defined.iter().chain(defined.first().filter(|_| twice)) {
                    text.push(&format!("${}: {} ", variable.name, variable.of_type));
                    if let Some(default) = &variable.default {
                        text.push("= ");
                        text.add(default);
                        text.push(" ");
                    }
                }
                text.push(")");
            }
            if self.flaws(Flaw::DirectiveElsewhere) {
                text.push(" @skip(if: true)");
            }
            text.push(" ");
        }
        text.add(&std::mem::take(&mut body));
        let mut operation = (!name.is_empty() && self.once_in(2)).then_some("Asked");
        if self.flaws(Flaw::TwoWithoutName) {
            text.push("query Other { __typename }\n");
            operation = None;
        } else if operation.is_some() && self.once_in(2) {
            text.push("query Other { __typename }\n");
        }
        if self.flaws(Flaw::UnknownOperation) {
            operation = Some("Nobody");
        }
        if self.flaws(Flaw::UnusedFragment) {
            text.push("fragment Idle on Guest { key }\n");
        }
        let twice = !self.fragments.is_empty() && self.flaws(Flaw::FragmentTwice);
        let fragments = std::mem::take(&mut self.fragments);
        for fragment in fragments.iter().chain(fragments.first().filter(|_| twice)) {
            text.push(&format!("fragment {} on ", fragment.name));
            let on = self.condition(&fragment.on);
            text.add(&on);
            text.push(" ");
            text.add(&fragment.body);
        }
        let values = std::mem::take(&mut self.values);
        let variables = Both { ours: Json::Object(values.ours), theirs: Json::Object(values.theirs) };
        let avoided = std::mem::take(&mut self.avoided);
        let flaw = self.flaw.filter(|_| self.flawed);
        Question { text, variables, operation, personal, lenient, flaw, avoided }
    }

    fn fields(&self, of_type: &str) -> Vec<&'a FieldDefinition> {
        let fields = match &self.schema.types[of_type] {
            ExtendedType::Object(object) => &object.fields,
            ExtendedType::Interface(interface) => &interface.fields,
            _ => return Vec::new(),
        };
        fields.values().map(|field| &***field).collect()
    }

    fn is_composite(&self, of_type: &str) -> bool {
        let definition = &self.schema.types[of_type];
        definition.is_object() || definition.is_interface() || definition.is_union()
    }

    /// The types that a fragment within one of this type can be of.
    fn conditions(&self, of_type: &str) -> Vec<&'a str> {
        let objects = |name: &str| -> Vec<&'a str> {
            match &self.schema.types[name] {
                ExtendedType::Object(object) => vec![object.name.as_str()],
                _ => {
                    let objects = self
                        .schema
                        .types
                        .iter()
                        .filter(|(object, it)| it.is_object() && self.schema.is_subtype(name, object));
                    objects.map(|(object, _)| object.as_str()).collect()
                }
            }
        };
        let mine = objects(of_type);
        let fits = |name: &&apollo_compiler::Name| {
            !name.starts_with("__") && self.is_composite(name) && objects(name).iter().any(|it| mine.contains(it))
        };
        self.schema.types.keys().filter(fits).map(|name| name.as_str()).collect()
    }

    /// A selection set, each selection on a line of its own. `meta`: of the schema itself.
    fn set(&mut self, of_type: &str, depth: usize, meta: bool) -> Both<String> {
        let mut text = Both::same("{\n".to_owned());
        let wanted = 1 + self.pick(if depth == 0 { 4 } else { 5 });
        for index in 0..wanted {
            if index > 0 && self.left == 0 {
                break;
            }
            self.left = self.left.saturating_sub(1);
            let selection = self.selection(of_type, depth, meta);
            text.add(&selection);
            text.push("\n");
        }
        text.push("}\n");
        text
    }

    fn selection(&mut self, of_type: &str, depth: usize, meta: bool) -> Both<String> {
        if self.flaws(Flaw::UnknownField) {
            return Both::same("nothingLikeIt".into());
        }
        if self.flaws(Flaw::UndefinedFragment) {
            return Both::same("...Nowhere".into());
        }
        if self.flaws(Flaw::FragmentOnScalar) {
            return Both::same("... on Int { __typename }".into());
        }
        if self.flaws(Flaw::FragmentThatNeverFits) {
            return Both::same("... on PageInfo { __typename }".into());
        }
        let kind = self.pick(12);
        match kind {
            9 if depth < DEPTH_MAX => {
                let mut text = Both::same("... ".to_owned());
                let conditions = self.conditions(of_type);
                let on = match self.pick(4) {
                    0 => of_type,
                    1 if !meta => of_type,
                    _ if conditions.is_empty() => of_type,
                    _ => self.one(&conditions),
                };
                let bare = on == of_type && self.once_in(2);
                if !bare {
                    text.push("on ");
                    let on = self.condition(on);
                    text.add(&on);
                }
                let directives = self.directives();
                text.add(&directives);
                let body = self.set(on, depth + 1, meta);
                text.add(&body);
                text
            }
            10 | 11 if depth < DEPTH_MAX && !meta => self.spread(of_type, depth),
            8 => self.typename(),
            _ => self.field(of_type, depth, meta),
        }
    }

    /// A type condition.
    fn condition(&mut self, on: &str) -> Both<String> {
        let mut text = Both::same(on.to_owned());
        if on == "_Entity" {
            self.avoided.insert(Fault::UnionCondition);
            // The same entities, by their interface.
            text.theirs = "Entity".into();
        }
        text.push(" ");
        text
    }

    fn typename(&mut self) -> Both<String> {
        let alias = self.one(&["", "", "kind: ", "t: "]);
        // `kind` is a field's name too: there the two must not meet.
        let alias = if alias == "kind: " { "k: " } else { alias };
        let mut text = Both::same(format!("{alias}__typename"));
        // Flaws are made where the reference looks.
        let flaw = self.flaw.take();
        let directives = self.directives();
        self.flaw = flaw;
        text.add(&directives);
        text
    }

    fn spread(&mut self, of_type: &str, depth: usize) -> Both<String> {
        let conditions = self.conditions(of_type);
        if !self.open.is_empty() && self.flaws(Flaw::FragmentInItself) {
            let name = &self.open[self.open.len() - 1];
            return Both::same(format!("...{name}"));
        }
        let known: Vec<String> = self
            .fragments
            .iter()
            .filter(|fragment| conditions.contains(&fragment.on.as_str()))
            .map(|fragment| fragment.name.clone())
            .collect();
        let name = if !known.is_empty() && self.once_in(2) {
            self.one(&known)
        } else {
            let on = self.one(&conditions).to_owned();
            let name = format!("F{}", self.fragments.len() + self.open.len());
            self.open.push(name.clone());
            let body = self.set(&on, depth + 1, false);
            self.open.pop();
            self.fragments.push(Fragment { name: name.clone(), on, body });
            name
        };
        let mut text = Both::same(format!("...{name}"));
        let directives = self.directives();
        text.add(&directives);
        text
    }

    fn directives(&mut self) -> Both<String> {
        let mut text = Both::default();
        if self.flaws(Flaw::UnknownDirective) {
            text.push(" @nothingLikeIt");
        }
        if self.flaws(Flaw::DirectiveWithoutCondition) {
            text.push(" @skip");
        }
        if self.flaws(Flaw::DirectiveTwice) {
            text.push(" @include(if: true) @include(if: true)");
            return text;
        }
        if !self.once_in(6) {
            return text;
        }
        let names: &[&str] = self.one(&[&["include"][..], &["skip"], &["skip", "include"], &["include", "skip"]]);
        for name in names {
            let condition = match self.pick(4) {
                0 => "true".to_owned(),
                1 => "false".to_owned(),
                _ => format!("${}", self.variable(&Type::NonNullNamed(apollo_compiler::name!("Boolean")), true, 0)),
            };
            text.push(&format!(" @{name}(if: {condition})"));
        }
        text
    }

    fn field(&mut self, of_type: &str, depth: usize, meta: bool) -> Both<String> {
        let mut fields = self.fields(of_type);
        if depth >= DEPTH_MAX || self.left == 0 {
            fields.retain(|field| !self.is_composite(field.ty.inner_named_type()));
        }
        // A list says itself which domains it depends on: the reference does not know.
        fields.retain(|field| !(of_type == "AnswerFreshness" && field.name == "position"));
        // The schema's own parts are compared one by one elsewhere, these with what the reference makes of them.
        if of_type.starts_with("__") {
            fields
                .retain(|field| !matches!(field.name.as_str(), "description" | "interfaces" | "types" | "directives"));
        }
        if depth == 0 && self.once_in(12) {
            return self.meta_root();
        }
        if fields.is_empty() {
            return self.typename();
        }
        let field = self.one(&fields);
        let name = field.name.as_str();
        let arguments = self.arguments_of(of_type, field);
        let signature = format!("{name}{}: {}", arguments.ours, field.ty);
        let mut key = name.to_owned();
        if self.once_in(5) {
            key = self.one(&["a", "b", "name", "key"]).to_owned();
        }
        // One key stands for one field all over the document, or fields could not be merged.
        let mut number = 0;
        while self.keys.get(&key).is_some_and(|known| *known != signature) {
            if self.flaws(Flaw::Conflict) {
                break;
            }
            number += 1;
            key = format!("{name}{number}");
        }
        self.keys.insert(key.clone(), signature);
        let mut text = Both::default();
        if key != name {
            text.push(&format!("{key}: "));
        }
        text.push(name);
        text.add(&arguments);
        let directives = self.directives();
        text.add(&directives);
        let inner = field.ty.inner_named_type().as_str();
        let mut leads_on = self.is_composite(inner);
        if leads_on && self.flaws(Flaw::ObjectWithout) || !leads_on && self.flaws(Flaw::LeafWithSelections) {
            leads_on = !leads_on;
        }
        if leads_on {
            text.push(" ");
            let body = match self.is_composite(inner) {
                true => self.set(inner, depth + 1, meta || inner.starts_with("__")),
                false => Both::same("{ __typename }".into()),
            };
            text.add(&body);
        }
        text
    }

    /// `__schema` and `__type`.
    fn meta_root(&mut self) -> Both<String> {
        let number = self.keys.len();
        let key = format!("m{number}");
        self.keys.insert(key.clone(), String::new());
        let mut text = Both::same(format!("{key}: "));
        // Lists within lists are bounded, and one is enough here.
        if self.once_in(3) {
            text.push("__schema ");
            let body = self.set("__Schema", DEPTH_MAX - 1, true);
            text.add(&body);
        } else {
            let names: Vec<&str> = self.reached.iter().map(String::as_str).collect();
            let name = if self.once_in(8) { "Nothing" } else { self.one(&names) };
            text.push(&format!("__type(name: \"{name}\") "));
            let body = self.set("__Type", DEPTH_MAX - 2, true);
            text.add(&body);
        }
        text
    }

    fn arguments_of(&mut self, of_type: &str, field: &FieldDefinition) -> Both<String> {
        if of_type.starts_with("__") {
            // `includeDeprecated`, which changes nothing.
            return Both::default();
        }
        let of = format!("{of_type}.{}", field.name);
        let known = self.arguments.get(&of).cloned().unwrap_or_default();
        if !known.is_empty() && self.flaw.is_none() && !self.once_in(3) {
            return self.one(&known);
        }
        let mut text: Both<String> = Both::default();
        let mut any = false;
        for argument in &field.arguments {
            let needed = argument.ty.is_non_null();
            // What is wrong is mostly wrong with an argument.
            let rarity = if self.flaw.is_some() { 2 } else { 3 };
            let is_wanted = argument.name == "orderBy"
                && matches!(self.flaw, Some(Flaw::TwoOfOne | Flaw::NoneOfOne | Flaw::NullForOne));
            if needed && self.flaws(Flaw::MissingArgument) || !needed && !is_wanted && !self.once_in(rarity) {
                continue;
            }
            let value = self.argument(argument);
            let times = if self.flaws(Flaw::ArgumentTwice) { 2 } else { 1 };
            for _ in 0..times {
                text.push(if any { ", " } else { "(" });
                text.push(&format!("{}: ", argument.name));
                let written = self.written(&value);
                text.add(&written);
                any = true;
            }
        }
        if self.flaws(Flaw::UnknownArgument) {
            text.push(if any { ", nothingLikeIt: 1" } else { "(nothingLikeIt: 1" });
            any = true;
        }
        if any {
            text.push(")");
        }
        self.arguments.entry(of).or_default().push(text.clone());
        text
    }

    fn argument(&mut self, argument: &InputValueDefinition) -> Given {
        // Of `_Any` anything is one; of lists and objects see `faults`.
        let inner = argument.ty.inner_named_type();
        let is_plain = !argument.ty.is_list() && *inner != "_Any" && !self.schema.types[inner].is_input_object();
        if is_plain && self.flaws(Flaw::WrongLiteral) {
            return match argument.ty.inner_named_type().as_str() {
                "String" | "ID" => Given::Word("true".into()),
                _ => Given::Text("wrong".into()),
            };
        }
        if argument.ty.is_non_null() && self.flaws(Flaw::NullLiteral) {
            return Given::Null;
        }
        if is_plain && self.flaws(Flaw::VariableOfOtherType) {
            let other = match argument.ty.inner_named_type().as_str() {
                "Boolean" => "Int",
                _ => "Boolean",
            };
            let name = format!("v{}", self.variables.len());
            self.variables.push(Variable { name: name.clone(), of_type: other.into(), default: None });
            self.values.ours.insert(name.clone(), true.into());
            self.values.theirs.insert(name.clone(), true.into());
            return Given::Variable(name);
        }
        if self.flaws(Flaw::UndefinedVariable) {
            return Given::Variable("nowhere".into());
        }
        if self.once_in(4) {
            return Given::Variable(self.variable(&argument.ty, false, 0));
        }
        self.named(argument.name.as_str(), &argument.ty, 0)
    }

    /// A value for a place that has a name, which says more than its type.
    fn named(&mut self, name: &str, of_type: &Type, depth: usize) -> Given {
        if !of_type.is_non_null() && self.once_in(12) {
            return Given::Null;
        }
        match name {
            "first" | "last" => Given::Word(self.one(&["1", "2", "3", "0", "5", "1000", "-1", "1001"]).into()),
            "after" | "before" => {
                let cursors = self.cursors;
                match self.pick(8) {
                    7 => Given::Text("none".into()),
                    _ if cursors.is_empty() => Given::Text("p".into()),
                    _ => Given::Text(self.one(cursors)),
                }
            }
            "maxHops" => Given::Word(self.one(&["2", "3", "0", "12", "13"]).into()),
            "text" => Given::Text(self.one(&["ada", "the", "the h", "Mill house", "", "inn b", "caf\u{e9}"]).into()),
            "domains" => {
                let domains = ["guests", "lodges", "nowhere"];
                let count = self.pick(3);
                Given::List((0..count).map(|_| Given::Text(self.one(&domains).into())).collect())
            }
            "domain" => Given::Text(self.one(&["lodges", "guests"]).into()),
            "code" if depth == 0 => Given::Text(self.one(&["INVALID_VALUE", "WRONG_TYPE", "none"]).into()),
            _ => self.value(of_type, depth),
        }
    }

    fn value(&mut self, of_type: &Type, depth: usize) -> Given {
        match of_type {
            Type::List(item) | Type::NonNullList(item) => {
                if self.once_in(5) {
                    return Given::Single(Box::new(self.value(item, depth + 1)));
                }
                let count = if depth > 4 { 0 } else { 2 - self.pick(3) };
                Given::List((0..count).map(|_| self.place(item, depth + 1)).collect())
            }
            Type::Named(name) | Type::NonNullNamed(name) => self.of_named(name, depth),
        }
    }

    /// A value of a place within another value, which may be a variable.
    fn place(&mut self, of_type: &Type, depth: usize) -> Given {
        match !self.is_constant && self.once_in(8) {
            true => Given::Variable(self.variable(of_type, false, depth)),
            false => self.value(of_type, depth),
        }
    }

    fn of_named(&mut self, name: &str, depth: usize) -> Given {
        match &self.schema.types[name] {
            ExtendedType::Enum(values) => {
                if self.flaws(Flaw::UnknownEnumValue) {
                    return Given::Enum("NOTHING_LIKE_IT".into());
                }
                let names: Vec<&str> = values.values.keys().map(|name| name.as_str()).collect();
                Given::Enum(self.one(&names).to_owned())
            }
            ExtendedType::InputObject(input) => {
                let fields: Vec<&InputValueDefinition> = input.fields.values().map(|field| &***field).collect();
                let is_one_of = input.directives.has("oneOf");
                let mut wanted: Vec<&InputValueDefinition> = match is_one_of {
                    true => vec![self.one(&fields)],
                    false => {
                        let count = self.pick(3);
                        let needed = fields.iter().filter(|field| field.ty.is_non_null()).copied();
                        let mut wanted: Vec<_> = needed.collect();
                        wanted.extend((0..count).map(|_| self.one(&fields)));
                        wanted
                    }
                };
                let leads_on =
                    |field: &&InputValueDefinition| self.schema.types[field.ty.inner_named_type()].is_input_object();
                if depth > 5 {
                    match is_one_of {
                        true => wanted = fields.iter().filter(|field| !leads_on(field)).take(1).copied().collect(),
                        false => wanted.retain(|field| !leads_on(field) || field.ty.is_non_null()),
                    }
                }
                let mut seen = BTreeSet::new();
                wanted.retain(|field| seen.insert(field.name.as_str()));
                if is_one_of && self.flaws(Flaw::TwoOfOne) {
                    wanted = fields.iter().filter(|field| !leads_on(field)).take(2).copied().collect();
                }
                if is_one_of && self.flaws(Flaw::NoneOfOne) {
                    wanted.clear();
                }
                let mut members: Vec<(String, Given)> = Vec::new();
                for field in wanted {
                    let value = match is_one_of {
                        // A variable would have to be one that is never null.
                        true if self.flaws(Flaw::NullForOne) => Given::Null,
                        true => self.value(&field.ty, depth + 1),
                        false if self.once_in(16) && !field.ty.is_non_null() => Given::Null,
                        false => self.place(&field.ty, depth + 1),
                    };
                    members.push((field.name.to_string(), value));
                }
                // In JSON the one of two that counts is the last.
                if !members.is_empty() && !self.is_constant && self.flaws(Flaw::MemberTwice) {
                    members.push(members[0].clone());
                }
                if self.flaws(Flaw::UnknownMember) {
                    members.push(("nothingLikeIt".into(), Given::Word("1".into())));
                }
                Given::Object(members)
            }
            _ => self.scalar(name),
        }
    }

    fn scalar(&mut self, name: &str) -> Given {
        match name {
            "Int" => Given::Word(self.one(&["1", "0", "2", "-3", "2147483647"]).into()),
            "Long" => Given::Word(self.one(&["1", "100", "-5", "9007199254740991"]).into()),
            "Float" => Given::Word(self.one(&["1.5", "0", "-0.5", "1e2", "10000", "103"]).into()),
            "Boolean" => Given::Word(self.one(&["true", "false"]).into()),
            "Date" => {
                let is_none = self.flaws(Flaw::NoDate);
                let dates =
                    if is_none { ["2024-13-01", "soon", ""] } else { ["2024-03-11", "2020-02-29", "1999-12-31"] };
                Given::Text(self.one(&dates).into())
            }
            "DateTime" => {
                let is_none = self.flaws(Flaw::NoDate);
                let times = match is_none {
                    true => ["2024-01-01", "now", "2024-01-01T25:00:00Z"],
                    false => ["2024-01-01T00:00:04.5Z", "2024-01-01T08:00:05+08:00", "2024-01-01T00:00:01.5Z"],
                };
                Given::Text(self.one(&times).into())
            }
            "ID" => match self.pick(6) {
                5 => Given::Number(self.pick(5) as i64),
                _ => {
                    let kind = self.one(&["Guest", "Lodge", "Stay", "Ghost"]);
                    Given::Text(format!("{kind}:{}", self.one(&KEYS)))
                }
            },
            "_Any" => {
                let kind = self.one(&["Guest", "Lodge", "Stay", "Ghost"]);
                let key = self.one(&KEYS);
                let members = [("__typename", Given::Text(kind.into())), ("key", Given::Text(key.into()))];
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Given::Object(members.collect())
            }
            _ => Given::Text(self.one(&KEYS).into()),
        }
    }

    /// Defines a variable of a type, and gives it a value or none. Gives its name.
    fn variable(&mut self, of_type: &Type, needed: bool, depth: usize) -> String {
        let name = format!("v{}", self.variables.len());
        self.variables.push(Variable { name: name.clone(), of_type: String::new(), default: None });
        let place = self.variables.len() - 1;
        // A place that may not be null takes a variable that may, if that has a default.
        let nullable = of_type.clone().nullable();
        let is_non_null = of_type.is_non_null();
        let (defined, has_default) = match self.pick(4) {
            0 => (of_type.clone(), false),
            1 => (of_type.clone(), true),
            2 if is_non_null => (nullable, true),
            2 => (of_type.clone().non_null(), false),
            _ => (of_type.clone(), needed || self.once_in(2)),
        };
        self.variables[place].of_type = defined.to_string();
        let mut fallback = None;
        if has_default {
            let default = self.constant(&defined, depth);
            fallback = Some(self.json(&default, true));
            self.variables[place].default = Some(self.written(&default));
        }
        let must = defined.is_non_null() && !has_default;
        if must && self.flaws(Flaw::MissingVariable) {
            return name;
        }
        // Null where null may not be is an error, which others tell of.
        let may_be_null = !defined.is_non_null() && !is_non_null;
        let value = match self.pick(6) {
            4 if !must && needed && has_default => {
                // The same as none, by the specification.
                self.avoided.insert(Fault::DefaultOfCondition);
                self.values.theirs.insert(name.clone(), fallback.unwrap_or_default());
                return name;
            }
            4 if !must => None,
            5 if may_be_null => Some(Given::Null),
            _ => Some(self.constant(&defined, depth)),
        };
        if let Some(value) = value {
            // Of `_Any` anything is one.
            let is_wrong = defined.inner_named_type() != "_Any" && self.flaws(Flaw::WrongVariable);
            let ours = match is_wrong {
                true => Json::Object(Map::from_iter([("nothingLikeIt".to_owned(), Json::Bool(true))])),
                false => self.json(&value, false),
            };
            let theirs = if ours.get("nothingLikeIt").is_some() { ours.clone() } else { self.json(&value, true) };
            self.values.ours.insert(name.clone(), ours);
            self.values.theirs.insert(name.clone(), theirs);
        }
        name
    }

    /// A value without variables.
    fn constant(&mut self, of_type: &Type, depth: usize) -> Given {
        let outer = std::mem::replace(&mut self.is_constant, true);
        let value = self.value(of_type, depth);
        self.is_constant = outer;
        value
    }

    /// As a document has it.
    fn written(&mut self, value: &Given) -> Both<String> {
        let mut text = Both::default();
        match value {
            Given::Null => text.push("null"),
            Given::Word(word) | Given::Enum(word) => text.push(word),
            Given::Variable(name) => text.push(&format!("${name}")),
            Given::Text(plain) => {
                // GraphQL has JSON's escapes.
                text.theirs = Json::from(plain.as_str()).to_string();
                text.ours = match self.pick(4) {
                    3 if !plain.is_ascii() => {
                        self.avoided.insert(Fault::EscapedPoint);
                        let escaped = |letter: char| match letter.is_ascii() {
                            true => Json::from(letter.to_string())
                                .as_str()
                                .unwrap()
                                .replace('\\', "\\\\")
                                .replace('"', "\\\""),
                            false => format!("\\u{{{:X}}}", u32::from(letter)),
                        };
                        format!("\"{}\"", plain.chars().map(escaped).collect::<String>())
                    }
                    2 if !plain.contains(['"', '\\', '\n']) && !plain.is_empty() => {
                        text.theirs = format!("\"\"\"{plain}\"\"\"");
                        text.theirs.clone()
                    }
                    _ => text.theirs.clone(),
                };
            }
            Given::Number(number) => text.push(&number.to_string()),
            Given::List(items) => {
                text.push("[");
                for (index, item) in items.iter().enumerate() {
                    text.push(if index > 0 { ", " } else { "" });
                    let written = self.written(item);
                    text.add(&written);
                }
                text.push("]");
            }
            Given::Single(item) => {
                self.avoided.insert(Fault::SingleForList);
                let written = self.written(item);
                text.ours = written.ours;
                text.theirs = format!("[{}]", written.theirs);
            }
            Given::Object(members) => {
                text.push("{");
                for (index, (name, value)) in members.iter().enumerate() {
                    text.push(if index > 0 { ", " } else { " " });
                    text.push(&format!("{name}: "));
                    let written = self.written(value);
                    text.add(&written);
                }
                text.push(" }");
            }
        }
        text
    }

    /// As a variable has it.
    fn json(&mut self, value: &Given, theirs: bool) -> Json {
        match value {
            Given::Null | Given::Variable(_) => Json::Null,
            Given::Word(word) => scalar_literal(word),
            Given::Enum(text) | Given::Text(text) => text.as_str().into(),
            Given::Number(number) => (*number).into(),
            Given::List(items) => items.iter().map(|item| self.json(item, theirs)).collect(),
            Given::Single(item) if theirs => vec![self.json(item, theirs)].into(),
            Given::Single(item) => {
                self.avoided.insert(Fault::SingleForList);
                self.json(item, theirs)
            }
            Given::Object(members) => {
                Json::Object(members.iter().map(|(name, value)| (name.clone(), self.json(value, theirs))).collect())
            }
        }
    }
}
