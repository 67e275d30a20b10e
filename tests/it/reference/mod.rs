//! The service beside a reference: generated documents answered by both from one version, `data` compared byte by byte, errors by
//! code, path and place.
//!
//! The reference is async-graphql (a dependency of the tests alone) over resolvers that read through the library's public doors.
//! What it is known to do wrong is in `faults`. fuzz/ asks both by the same functions.

mod faults;
mod generate;
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;
mod pair;
mod rows;
mod schema;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use apollo_compiler::schema::ExtendedType;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Interface, InterfaceField, Object, Schema, TypeRef};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value as Json, json};
use staygraph::api::OnError;

use faults::Fault;
use generate::{Both, Flaw, Question};
use pair::{Pair, Verdict};

/// Documents that a run asks, each other ones.
const CASES: u32 = 3000;
/// And those that are the same at every run.
const FIXED: u64 = 3000;
/// Bytes of a document's choices.
const BYTES_MAX: usize = 300;

static PAIR: LazyLock<Pair> = LazyLock::new(Pair::new);

fn told(asked: &Question, why: &str) -> String {
    format!("{why}\n{}\nvariables {}\n{asked:?}", asked.text.ours, asked.variables.ours)
}

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() })]

    #[test]
    fn both_give_the_same_answer(bytes in vec(any::<u8>(), 0..BYTES_MAX)) {
        let asked = PAIR.question(&bytes);
        let agreed = PAIR.agree(&asked);
        prop_assert!(agreed.is_ok(), "{}", told(&asked, &agreed.unwrap_err()));
    }
}

/// What the fuzzer begins with.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = std::fs::read_dir(crate::support::root("fuzz/corpus/documents")).unwrap();
    folder.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
});

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    /// The fuzzer's other body on stable: whatever is sent, the service is not at fault.
    #[test]
    fn nothing_that_is_sent_is_an_error_inside(
        picks in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        edits in vec(any::<mutate::Edit>(), 0..8),
    ) {
        let (one, other) = (picks.0.get(&CORPUS[..]), picks.1.get(&CORPUS[..]));
        let bytes = mutate::mutate(one, other, &edits);
        let survived = PAIR.survives(&bytes);
        prop_assert!(survived.is_ok(), "{}\n{}", survived.unwrap_err(), String::from_utf8_lossy(&bytes));
    }
}

/// What is generated has all that it is to have: without that, to agree would say little.
#[test]
fn documents_are_of_every_kind() {
    let mut state = 1_u64;
    let mut dice = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let (mut verdicts, mut flaws, mut avoided) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    let mut text = String::new();
    for _ in 0..FIXED {
        let length = dice() % BYTES_MAX;
        let bytes: Vec<u8> = (0..length).map(|_| dice() as u8).collect();
        let asked = PAIR.question(&bytes);
        let verdict = PAIR.agree(&asked).unwrap_or_else(|why| panic!("{}", told(&asked, &why)));
        *verdicts.entry(format!("{verdict:?}")).or_insert(0) += 1;
        flaws.extend(asked.flaw.filter(|_| verdict == Verdict::Refused));
        avoided.extend(asked.avoided);
        text += &asked.text.ours;
    }
    assert!(verdicts.values().all(|count| *count > FIXED / 10) && verdicts.len() == 3, "{verdicts:?}");
    let unseen: Vec<_> = Flaw::ALL.iter().filter(|flaw| !flaws.contains(flaw)).collect();
    assert!(unseen.is_empty(), "never refused: {unseen:?}");
    let rewritten = [Fault::EscapedPoint, Fault::SingleForList, Fault::UnionCondition, Fault::DefaultOfCondition];
    assert_eq!(avoided.into_iter().collect::<Vec<_>>(), rewritten);
    for part in [
        "@skip(if: $",
        "... on Node",
        "search(",
        "paths(",
        "__type(",
        "deadLetters(",
        "\"\"\"",
        "\\u{1F600}",
        "ASC",
        "every: ",
    ] {
        assert!(text.contains(part), "no document has {part}");
    }
}

/// A document that both are asked word for word.
fn same(text: &str, variables: Json) -> Question {
    Question {
        text: Both { ours: text.to_owned(), theirs: text.to_owned() },
        variables: Both { ours: variables.clone(), theirs: variables },
        operation: None,
        personal: true,
        lenient: false,
        flaw: None,
        avoided: BTreeSet::new(),
    }
}

/// Each known fault of the reference is one still: ours answers as the specification says, and theirs otherwise.
#[test]
fn known_faults_are_faults_still() {
    let key = r#"{"guest":{"key":"ada"}}"#;
    // The document, its variables, and our data; none where the document is wrong.
    let cases: &[(Fault, &str, Json, Option<&str>)] = &[
        (Fault::EscapedPoint, r#"{ guest(key: "\u{61}da") { key } }"#, json!({}), Some(key)),
        (
            Fault::SingleForList,
            r#"{ nodes(ids: "Guest:ada") { id } }"#,
            json!({}),
            Some(r#"{"nodes":[{"id":"Guest:ada"}]}"#),
        ),
        (
            Fault::SingleForList,
            "query($k: [String!]) { freshness(domains: $k) { domain } }",
            json!({ "k": "stays" }),
            Some(r#"{"freshness":[{"domain":"stays"}]}"#),
        ),
        (
            Fault::UnionCondition,
            r#"{ guest(key: "ada") { ... on _Entity { ... on Guest { key } } } }"#,
            json!({}),
            Some(key),
        ),
        (
            Fault::DefaultOfCondition,
            r#"query($v: Boolean! = true) { guest(key: "ada") { key since @skip(if: $v) } }"#,
            json!({}),
            Some(key),
        ),
        (
            Fault::Conflict,
            r#"{ guest(key: "ada") { lastEvent { b: id } } guest(key: "ada") { lastEvent { b: type } } }"#,
            json!({}),
            None,
        ),
        (
            Fault::BesideVariable,
            "query($v: Status) { stays(filter: { status: { ne: $v, like: 1 } }) { totalCount } }",
            json!({}),
            None,
        ),
        (Fault::MemberTwice, "{ stays(filter: { guests: { eq: 1, eq: 2 } }) { totalCount } }", json!({}), None),
        (
            Fault::DirectivesOfTypename,
            "query($v: Boolean!) { guest(key: \"ada\") { key __typename @include(if: $v) } }",
            json!({ "v": false }),
            Some(key),
        ),
        (Fault::DirectivesOfTypename, "{ __typename @skip(if: false) @skip(if: false) }", json!({}), None),
        (Fault::DirectivesOfTypename, "{ __typename @skip }", json!({}), None),
        (Fault::DirectivesOfTypename, "{ __typename @nothingLikeIt }", json!({}), None),
        (
            Fault::MissingVariable,
            "query($k: String!) { ...F } fragment F on Query { lodge(key: $k) { key } }",
            json!({}),
            None,
        ),
        (Fault::VariableOfOtherType, "query($v: Boolean) { lodge(key: $v) { key } }", json!({}), None),
        (Fault::TextForObjects, r#"{ stays(filter: "all") { totalCount } }"#, json!({}), None),
        (Fault::TextForObjects, r#"{ stays(orderBy: "all") { totalCount } }"#, json!({}), None),
        (
            Fault::InterfacesOfInterface,
            r#"{ __type(name: "Node") { interfaces { name } } }"#,
            json!({}),
            Some(r#"{"__type":{"interfaces":[]}}"#),
        ),
    ];
    for (fault, text, variables, expected) in cases {
        let asked = same(text, variables.clone());
        let (ours, whole) = PAIR.ours(&asked, OnError::Propagate);
        assert_eq!(ours.data.as_deref(), *expected, "{fault:?}: {whole}");
        assert!(PAIR.differ(&asked), "{fault:?} is none any more: {text}");
    }
    let named: BTreeSet<Fault> = cases.iter().map(|(fault, ..)| *fault).collect();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), Fault::ALL);
}

/// Why things stand in for what is null in the reference's answers (6.4.4, Handling Execution Errors, and 6.4.3, Value Completion):
/// an error gives up the whole answer and all errors but the first, and null is no item of a list of an interface.
#[test]
fn the_executor_gives_up_where_it_need_not() {
    let fails = |name: &str| {
        Field::new(name, TypeRef::named(TypeRef::STRING), |_| {
            FieldFuture::new(async { Err::<Option<FieldValue<'_>>, _>(async_graphql::Error::new("no")) })
        })
    };
    let nulls = Field::new("nulls", TypeRef::named_list("Any"), |_| {
        FieldFuture::Value(Some(FieldValue::list([FieldValue::NULL])))
    });
    let some = InterfaceField::new("a", TypeRef::named(TypeRef::STRING));
    let schema = Schema::build("Query", None, None)
        .register(Interface::new("Any").field(some))
        .register(Object::new("One").implement("Any").field(fails("a")))
        .register(Object::new("Query").field(fails("a")).field(fails("b")).field(nulls))
        .finish();
    let schema = schema.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for text in ["{ a b __typename }", "{ nulls { a } }"] {
        let response = runtime.block_on(schema.execute(text));
        assert_eq!((response.data.into_json().unwrap(), response.errors.len()), (Json::Null, 1), "{text}");
    }
}

/// Every type that can be reached tells the same of itself, to the last description.
#[test]
fn the_schema_tells_the_same_of_itself() {
    const TYPE: &str = "type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let mut compared = 0;
    for (name, definition) in PAIR.types() {
        // What is built in is described in each one's words.
        let description = if definition.is_built_in() { "" } else { "description" };
        let interfaces = if matches!(definition, ExtendedType::Interface(_)) { "" } else { "interfaces { name }" };
        let input = format!("{{ name description defaultValue isDeprecated deprecationReason {TYPE} }}");
        let text = format!(
            "{{ m1: __type(name: \"{name}\") {{ __typename kind name {description} specifiedByURL isOneOf ofType {{ name }} {interfaces}
              fields(includeDeprecated: true) {{ name description isDeprecated deprecationReason args {input} {TYPE} }}
              inputFields {input} possibleTypes {{ name }}
              enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }} }} }}"
        );
        let asked = same(&text, json!({}));
        let verdict = PAIR.agree(&asked).unwrap_or_else(|why| panic!("{}", told(&asked, &why)));
        assert_eq!(verdict, Verdict::Whole);
        compared += 1;
    }
    assert!(compared > 60, "{compared}");
}
