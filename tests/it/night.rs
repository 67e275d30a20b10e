//! What operators are handed: alerts, the runbook, the dashboard. promtool and a real Prometheus try them in ./test; here is told that they
//! belong together, and name what there is.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::support::root;

fn text(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words after a key, one a line.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim().trim_start_matches("- ").strip_prefix(key)).map(str::trim)
}

/// The metrics that an expression names, without what a histogram adds.
fn metrics(expression: &str) -> impl Iterator<Item = String> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let named = words.filter(|word| word.starts_with("staygraph_") || word.starts_with("process_"));
    named.map(|word| {
        let ends = ["_bucket", "_count", "_sum"].into_iter();
        ends.filter_map(|end| word.strip_suffix(end)).next().unwrap_or(word).to_owned()
    })
}

#[test]
fn every_alert_has_its_chapter_and_its_trial() {
    let (alerts, tests, book) = (text("ops/alerts.yml"), text("ops/alerts_test.yml"), text("docs/runbook.md"));
    let names: Vec<&str> = values(&alerts, "alert:").collect();
    let set: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(set.len(), names.len(), "two alerts of one name");
    let chapters: BTreeSet<&str> = values(&book, "## Staygraph").collect();
    let expected: BTreeSet<&str> = names.iter().map(|name| name.strip_prefix("Staygraph").unwrap()).collect();
    assert_eq!(chapters, expected, "chapters of docs/runbook.md");
    let links: Vec<&str> = values(&alerts, "runbook:").collect();
    let wanted: Vec<String> = names.iter().map(|name| format!("docs/runbook.md#{}", name.to_lowercase())).collect();
    assert_eq!(links, wanted);
    // Each is seen to fire. That it is silent before, or beside, its series say: promtool fails on what is not expected.
    let fires = |name: &&str| {
        let mut trials = tests.split("- alertname: ").skip(1).filter(|trial| trial.lines().next() == Some(*name));
        trials.any(|trial| trial.contains("- exp_labels:"))
    };
    assert_eq!(names.iter().filter(|name| !fires(name)).collect::<Vec<_>>(), Vec::<&&str>::new(), "never seen to fire");
    let cases = tests.split("  - interval: ").skip(1);
    for case in cases {
        let of = |instance: &str| case.contains(&format!("instance=\"{instance}\""));
        assert!(of("a") && of("b"), "a case without a well one beside: {case}");
    }
}

/// docs/service.md has all that the service serves: tests/it/operating.rs holds it to that.
#[test]
fn alerts_and_panels_name_metrics_that_there_are() {
    let page = text("docs/service.md");
    let known: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let alerts = text("ops/alerts.yml");
    let dashboard: Json = serde_json::from_str(&text("ops/dashboard.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let panels = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let expressions: Vec<String> = values(&alerts, "expr:").map(str::to_owned).chain(panels).collect();
    assert!(expressions.len() > 50, "{expressions:?}");
    for expression in &expressions {
        let unknown: Vec<String> = metrics(expression).filter(|name| !known.contains(name.as_str())).collect();
        assert!(unknown.is_empty(), "{expression}: {unknown:?}");
        assert!(metrics(expression).next().is_some() || expression.contains("up{"), "{expression}");
    }
}
