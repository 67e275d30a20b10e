//! The documents that clients may name: files of GraphQL, or a client's manifest.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::file::{Places, Sections};

/// A document that is known before it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDocument {
    /// What a request names it by, beside the hash of its text; none where only the hash does.
    pub id: Option<String>,
    pub text: String,
    /// Where it stands.
    pub place: String,
}

/// `[documents]`, read.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    pub known: Vec<KnownDocument>,
    /// Whether nothing else is answered.
    pub only: bool,
}

/// Reads all files. A path in the configuration is seen from it.
pub fn read(file: &Sections, places: &Places, folder: &Path, faults: &mut Vec<String>) -> Documents {
    let Some(given) = &file.documents else { return Documents::default() };
    let mut documents = Documents { known: Vec::new(), only: given.only };
    for (number, path) in given.files.iter().enumerate() {
        let place = places.of(&["documents", "files", &number.to_string()]);
        match read_path(&folder.join(path)) {
            Ok(found) if found.is_empty() => {
                faults.push(format!("{place}: [documents]: {} holds no document", path.display()));
            }
            Ok(found) => documents.known.extend(found),
            Err(fault) => faults.push(format!("{place}: [documents]: {fault}")),
        }
    }
    if documents.only && given.files.is_empty() {
        let place = places.of(&["documents", "only"]);
        faults.push(format!("{place}: [documents]: with `only` and without `files` nothing would be answered"));
    }
    documents
}

/// A folder of `.graphql` files, one such file, or a manifest.
fn read_path(path: &Path) -> Result<Vec<KnownDocument>, String> {
    let unreadable = |path: &Path, error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, error))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let mut found = Vec::new();
        for path in paths.iter().filter(|path| path.is_dir() || is_graphql(path)) {
            found.extend(read_path(path)?);
        }
        return Ok(found);
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    if is_graphql(path) {
        let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        return Ok(vec![KnownDocument { id, text, place: path.display().to_string() }]);
    }
    manifest(&text, path)
}

fn is_graphql(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "graphql" || extension == "gql")
}

/// Relay's and GraphQL Code Generator's manifest is an object of texts by id; Apollo's has a format and a list of operations.
fn manifest(text: &str, path: &Path) -> Result<Vec<KnownDocument>, String> {
    let none = |why: &str| {
        format!(
            "{} is neither `.graphql` nor a manifest of Relay, Apollo or GraphQL Code Generator: {why}",
            path.display()
        )
    };
    let json: Json = serde_json::from_str(text).map_err(|error| none(&error.to_string()))?;
    let known = |id: &str, text: &Json| -> Result<KnownDocument, String> {
        let text = text.as_str().ok_or_else(|| none(&format!("the document `{id}` is no text")))?;
        let place = format!("{}: `{id}`", path.display());
        Ok(KnownDocument { id: Some(id.to_owned()), text: text.to_owned(), place })
    };
    match (json.get("format").and_then(Json::as_str), &json) {
        (Some("apollo-persisted-query-manifest"), _) => {
            let operations = json["operations"].as_array().ok_or_else(|| none("it has no list of `operations`"))?;
            let operation = |operation: &Json| {
                known(operation["id"].as_str().ok_or_else(|| none("an operation has no `id`"))?, &operation["body"])
            };
            operations.iter().map(operation).collect()
        }
        (None, Json::Object(members)) => members.iter().map(|(id, text)| known(id, text)).collect(),
        _ => Err(none("it is no object of texts by id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_its_documents() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let ids = |path: &Path| -> Result<Vec<String>, String> {
            let found = read_path(path)?;
            Ok(found
                .into_iter()
                .map(|document| format!("{}={}", document.id.unwrap_or_default(), document.text))
                .collect())
        };
        write("all/b.graphql", "{ b }");
        write("all/a.gql", "{ a }");
        write("all/deeper/c.graphql", "{ c }");
        write("all/notes.md", "no document");
        assert_eq!(ids(&folder.path().join("all")).unwrap(), ["a={ a }", "b={ b }", "c={ c }"]);
        let relay = write("relay.json", r#"{ "0123": "{ a }", "4567": "{ b }" }"#);
        assert_eq!(ids(&relay).unwrap(), ["0123={ a }", "4567={ b }"]);
        let apollo = write(
            "apollo.json",
            r#"{ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [{ "id": "x", "name": "A", "type": "query", "body": "query A { a }" }] }"#,
        );
        assert_eq!(ids(&apollo).unwrap(), ["x=query A { a }"]);
        for (text, says) in [
            ("[]", "no object of texts"),
            ("{ \"a\": 1 }", "`a` is no text"),
            ("query { a }", "neither"),
            (r#"{ "format": "apollo-persisted-query-manifest" }"#, "no list of `operations`"),
            (r#"{ "format": "else" }"#, "no object of texts"),
        ] {
            let fault = ids(&write("wrong.json", text)).unwrap_err();
            assert!(fault.contains(says), "{text}: {fault}");
        }
        assert!(ids(&folder.path().join("absent.json")).unwrap_err().contains("cannot be read"));
    }
}
