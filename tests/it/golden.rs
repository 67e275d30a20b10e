//! Goldens: what is said to people, kept beside the tests. `UPDATE_GOLDENS=1 cargo test` writes them anew; CI fails on a
//! stale one.

use crate::support::root;

pub fn check(name: &str, actual: &str) {
    let path = root("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} is stale (UPDATE_GOLDENS=1 writes it anew); now it is:\n{actual}", path.display());
}
