//! Documents, variables and cursors.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use staygraph::clock;

use super::{COMPLEX, DEEP, INPUT, INVALID, Target, UNREAD, codes, many, nested};

/// How long a refusal may take, on a machine that has much else to do.
const REFUSED_S_MAX: u64 = 10;

#[test]
fn documents_that_multiply_are_refused() {
    let target = Target::start(&[]);
    let circle = nested(&["possibleTypes", "interfaces"], 8, "name");
    let fans = many(40, |n| format!("fragment f{n} on Person {{ ...f{m} ...f{m} ...f{m} }}", m = n + 1));
    let wide = many(12, |n| {
        format!("fragment w{n} on Person {{ a: reservations(first:1000){{nodes{{guest{{...w{m}}}}}}} }}", m = n + 1)
    });
    let paged = nested(&["reservations(first:1000)", "nodes", "guest"], 2, "key");
    let types = many(40, |n| {
        format!("fragment t{n} on __Type {{ a: ofType {{ ...t{m} }} b: ofType {{ ...t{m} }} }}", m = n + 1)
    });
    let document = |text: String| json!({ "query": text });
    let cases: Vec<(&str, Json, &[&str])> = vec![
        ("types lead to types", document(format!("{{__type(name:\"Entity\"){{{circle}}}}}")), &[DEEP, COMPLEX]),
        ("all types lead to types", document(format!("{{__schema{{types{{{circle}}}}}}}")), &[DEEP, COMPLEX]),
        (
            "fields of types of fields",
            document(format!("{{__schema{{types{{{}}}}}}}", nested(&["fields", "type"], 9, "name"))),
            &[DEEP, COMPLEX],
        ),
        (
            "introspection by fragments",
            document(format!("{{__schema{{types{{...t0}}}}}} {types} fragment t40 on __Type {{ name }}")),
            &[DEEP, COMPLEX],
        ),
        (
            "introspection asked often",
            document(format!(
                "{{{}}}",
                many(190, |n| format!(
                    "a{n}:__schema{{types{{name fields{{name args{{name type{{name}}}} type{{name}}}}}}}}"
                ))
            )),
            &[COMPLEX],
        ),
        (
            "fragments that fan out",
            document(format!("{{person(key:\"p1\"){{...f0}}}} {fans} fragment f40 on Person {{ key }}")),
            &[COMPLEX, ""],
        ),
        (
            "fragments and pages",
            document(format!("{{person(key:\"p1\"){{...w0}}}} {wide} fragment w12 on Person {{ key }}")),
            &[DEEP, COMPLEX],
        ),
        (
            "a fragment within itself",
            document("{person(key:\"p1\"){...a}} fragment a on Person{...b} fragment b on Person{key ...a}".into()),
            &[INVALID],
        ),
        ("pages within pages", document(format!("{{people(first:1000){{nodes{{{paged}}}}}}}")), &[COMPLEX]),
        (
            "deep",
            document(format!("{{person(key:\"p1\"){{{}}}}}", nested(&["reservations", "nodes", "guest"], 20, "key"))),
            &[DEEP, COMPLEX],
        ),
        ("brackets", document("{a".repeat(100_000)), &[UNREAD]),
        ("lists in a literal", document(format!("{{people(filter:{}", "[".repeat(100_000))), &[UNREAD]),
        ("objects in a literal", document(format!("{{people(filter:{}", "{not:".repeat(100_000))), &[UNREAD]),
        ("tokens", document(format!("{{{}}}", "a ".repeat(200_000))), &[UNREAD]),
        (
            "aliases",
            document(format!("{{person(key:\"p1\"){{{}}}}}", many(1_500, |n| format!("a{n}:key")))),
            &[COMPLEX],
        ),
        ("root fields", document(format!("{{{}}}", many(300, |n| format!("a{n}:__typename")))), &[COMPLEX]),
        (
            "directives",
            document(format!("{{person(key:\"p1\"){{key {}}}}}", "@include(if:true) ".repeat(2_000))),
            &[COMPLEX, INVALID],
        ),
        (
            "directives that nobody knows",
            document(format!("{{person(key:\"p1\"){{key {}}}}}", "@a ".repeat(9_000))),
            &[COMPLEX, INVALID],
        ),
        (
            "the same field often",
            document(format!("{{{}}}", "person(key:\"p1\"){key} ".repeat(2_000))),
            &[COMPLEX, UNREAD],
        ),
        (
            "fields that conflict",
            document(format!(
                "{{person(key:\"p1\"){{{}}}}}",
                many(900, |n| format!("a:reservations(first:{n}){{totalCount}}"))
            )),
            &[COMPLEX, INVALID],
        ),
        ("operations", document(many(3_000, |n| format!("query q{n}{{__typename}}"))), &[INPUT, UNREAD]),
        (
            "variables",
            document(format!("query({}){{__typename}}", many(3_000, |n| format!("$v{n}:Int")))),
            &[UNREAD, INVALID],
        ),
    ];
    for (name, body, wanted) in cases {
        let started = clock::tick();
        let reply = target.post(&body);
        let took = clock::tick().saturating_sub(started);
        let got = codes(&reply);
        // What is too long is not even read.
        let fits = |got: &String| wanted.contains(&got.as_str()) || got == UNREAD;
        let answered = got.is_empty() && wanted.contains(&"");
        assert!(answered || (!got.is_empty() && got.iter().all(fits)), "{name}: {} {:.400}", reply.status, reply.text);
        assert!(answered || reply.status == 400, "{name}: {}", reply.status);
        assert!(took.as_secs() < REFUSED_S_MAX, "{name}: it took {took:?}");
        target.is_well(name);
    }
    target.is_unhurt("documents");
    // What clients send to know the schema is answered.
    let usual = "{__schema{queryType{name} types{kind name fields(includeDeprecated:true){name args{name type{...t}} type{...t}} inputFields{name type{...t}} \
                 interfaces{...t} enumValues{name} possibleTypes{...t}}}} fragment t on __Type{kind name ofType{kind name ofType{kind name ofType{kind name \
                 ofType{kind name ofType{kind name ofType{kind name ofType{kind name}}}}}}}}";
    assert!(codes(&target.post(&document(usual.into()))).is_empty());
}

#[test]
fn values_that_are_long_are_refused() {
    let target = Target::start(&[]);
    let texts: Vec<String> = (0..60_000).map(|n| format!("x{n}")).collect();
    let ids: Vec<String> = texts.iter().map(|text| format!("Person:{text}")).collect();
    let by_filter = "query($f:PersonFilter){people(filter:$f){totalCount}}";
    let filtered = |filter: Json| json!({ "query": by_filter, "variables": { "f": filter } });
    let mut within = json!({ "country": { "eq": "x" } });
    for _ in 0..150 {
        within = json!({ "not": within });
    }
    let parts: Vec<Json> = (0..30_000).map(|_| json!({ "country": { "eq": "x" } })).collect();
    let nothing: Vec<Json> = vec![json!({}); 100_000];
    let nulls: Vec<Json> = vec![Json::Null; 100_000];
    let numbers: Vec<u32> = vec![7; 400_000];
    let one = &[INPUT][..];
    let at_least = |position: String| json!({ "query": "{people{totalCount}}", "extensions": { "freshness": { "atLeast": position, "wait": "20s", "otherwise": "FAIL" } } });
    let cases: Vec<(&str, Json, &[&str])> = vec![
        ("a long `in`", filtered(json!({ "country": { "in": texts } })), one),
        (
            "a long `in` of numbers",
            json!({ "query": "query($f:ReservationFilter){reservations(filter:$f){totalCount}}", "variables": { "f": { "guests": { "in": numbers } } } }),
            one,
        ),
        (
            "a long `in` behind links",
            json!({ "query": "query($f:PersonFilter){people(first:1000,filter:{reservations:{some:{guest:$f}}}){totalCount}}", "variables": { "f": { "country": { "in": texts } } } }),
            one,
        ),
        ("many parts", filtered(json!({ "and": parts })), one),
        ("empty parts", filtered(json!({ "or": nothing })), one),
        ("null parts", filtered(json!({ "and": nulls })), &[INPUT, INVALID]),
        (
            "many ids",
            json!({ "query": "query($i:[ID!]!){nodes(ids:$i){id}}", "variables": { "i": ids } }),
            &[INPUT, COMPLEX],
        ),
        (
            "ids that are none",
            json!({ "query": "query($i:[ID!]!){nodes(ids:$i){id}}", "variables": { "i": vec![":"; 200_000] } }),
            &[INPUT, COMPLEX],
        ),
        ("a long page", json!({ "query": "{people(first:1001){totalCount}}" }), one),
        ("a page of all", json!({ "query": "{people(first:2147483647){totalCount}}" }), &[INPUT, COMPLEX]),
        (
            "orders",
            json!({ "query": "query($o:[PersonOrder!]){people(orderBy:$o){totalCount}}", "variables": { "o": vec![json!({ "country": "ASC" }); 30_000] } }),
            &[INPUT, INVALID],
        ),
        (
            "a position of made-up partitions",
            at_least(many(60_000, |n| format!("people/{n}@9")).trim().replace(' ', ",")),
            one,
        ),
        ("a position of a topic that is none", at_least("nobody/0@1".into()), one),
        ("a position that is long", at_least(format!("people/0@{}", "9".repeat(500_000))), one),
        ("a position of one partition over and over", at_least(vec!["people/0@1"; 90_000].join(",")), one),
    ];
    for (name, body, wanted) in cases {
        let started = clock::tick();
        let reply = target.post(&body);
        let took = clock::tick().saturating_sub(started);
        let got = codes(&reply);
        let fits = |got: &String| wanted.contains(&got.as_str());
        assert!(!got.is_empty() && got.iter().all(fits), "{name}: {} {:.400}", reply.status, reply.text);
        assert!(reply.text.len() < 10_000, "{name}: the refusal has {} bytes", reply.text.len());
        assert!(took.as_secs() < REFUSED_S_MAX, "{name}: it took {took:?}");
        target.is_well(name);
    }
    // What may be deep is followed by no stack of its own.
    let reply = target.post(&filtered(within));
    assert!(codes(&reply).iter().all(|code| code == INPUT), "{:.400}", reply.text);
    let brackets = format!("{{\"query\":\"{{__typename}}\",\"variables\":{}", "{\"a\":".repeat(100_000));
    assert_eq!(target.service.post("/graphql", "application/json", brackets.as_bytes()).status, 400);
    assert_eq!(target.announced("/graphql", "application/json", (1 << 20) + 1), "413");
    assert_eq!(target.announced("/dead-letters/retry", "application/json", (64 << 10) + 1), "413");
    target.is_unhurt("values");
}

#[test]
fn forged_cursors_are_refused_or_harmless() {
    let target = Target::start(&[]);
    let page = |after: &str| {
        target.post(&json!({
            "query": "query($a:String){reservations(first:2,after:$a,orderBy:[{guests:ASC}]){nodes{key} pageInfo{endCursor}}}",
            "variables": { "a": after },
        }))
    };
    let cursor = page("").json()["data"]["reservations"]["pageInfo"]["endCursor"].as_str().map(str::to_owned);
    let first = target.service.read("{reservations(first:2,orderBy:[{guests:ASC}]){pageInfo{endCursor}}}", "");
    let cursor = cursor.or_else(|| first["reservations"]["pageInfo"]["endCursor"].as_str().map(str::to_owned)).unwrap();
    assert!(codes(&page(&cursor)).is_empty());
    let mut forged: Vec<String> = vec!["".into(), "A".into(), "=".into(), "A".repeat(100_000), "ÿ".repeat(50)];
    for at in 0..cursor.len() {
        for letter in ["A", "_", "9", "z"] {
            let mut other = cursor.clone();
            other.replace_range(at..=at, letter);
            forged.push(other);
        }
        forged.push(cursor[..at].to_owned());
    }
    for cursor in forged {
        let reply = page(&cursor);
        assert!(codes(&reply).iter().all(|code| code == INPUT), "{cursor:.80}: {:.300}", reply.text);
    }
    target.is_unhurt("cursors");
}

/// What is kept of documents has bounds: of those that are read, of their plans, of those that stand under a hash.
#[test]
fn documents_without_end_are_forgotten() {
    let target = Target::start(&[]);
    let ask = |body: Json| target.service.post("/graphql", "application/json", body.to_string().as_bytes());
    let list =
        "reservations(first: 2, filter: { guests: { gte: 1 } }) { nodes { key guests channel guest { key name } } }";
    for n in 0..6_000 {
        let reply = ask(json!({ "query": format!("query Q{n} {{ a{n}: {list} b: {list} }}") }));
        assert_eq!(codes(&reply), [""; 0], "{:.300}", reply.text);
    }
    target.is_unhurt("thousands of documents");
    // Each set of values is a plan of its own.
    let names: Vec<String> = (0..12).map(|n| format!("v{n}")).collect();
    let head = many(12, |n| format!("$v{n}: Boolean!"));
    let query =
        format!("query({head}) {{ __typename {} }}", many(12, |n| format!("f{n}: __typename @include(if: $v{n})")));
    for n in 0..2_000u32 {
        let values = names.iter().enumerate().map(|(bit, name)| (name.clone(), json!(n >> bit & 1 == 1)));
        let reply = ask(json!({ "query": query, "variables": values.collect::<serde_json::Map<_, _>>() }));
        assert_eq!(reply.json()["data"].as_object().unwrap().len() as u32, 1 + (n & 0xfff).count_ones(), "{n}");
    }
    target.is_unhurt("sets of conditions");
    // Fan-out where no item comes costs what it selects, not what it could give.
    let fans = many(14, |n| {
        format!(
            "fragment z{n} on Person {{ a{n}: reservations(first: 0) {{ nodes {{ guest {{ ...z{m} }} }} }} b{n}: reservations(first: 0) {{ nodes {{ guest {{ ...z{m} }} }} }} }}",
            m = n + 1
        )
    });
    let started = clock::tick();
    let reply = ask(
        json!({ "query": format!("{{ people(first: 0) {{ nodes {{ ...z0 }} }} }} {fans} fragment z14 on Person {{ key }}") }),
    );
    assert!([DEEP, COMPLEX].contains(&codes(&reply)[0].as_str()), "{:.300}", reply.text);
    assert!(clock::tick().saturating_sub(started).as_secs() < REFUSED_S_MAX);
    // And documents under hashes.
    for n in 0..300 {
        let text = format!("{{ __typename }} # {}", format!("{n:08}").repeat(6_000));
        let hash: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        let reply =
            ask(json!({ "query": text, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } }));
        assert_eq!(codes(&reply), [""; 0], "{:.300}", reply.text);
    }
    target.is_unhurt("hashes without end");
}
