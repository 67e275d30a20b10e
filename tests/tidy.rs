//! Holds the house's rules over `src`: who may import whom, which package lives in which room, what may stand nowhere.
//!
//! The arrows are read from the table in ARCHITECTURE.md, so the page and the code cannot differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file in `src`.
const LINES_MAX: usize = 500;

/// Rooms without threads, clock, files, network or environment.
const PURE: [&str; 12] = [
    "ids",
    "limits",
    "model",
    "rights",
    "event",
    "cdc",
    "position",
    "graph",
    "projection",
    "checkpoint",
    "freshness",
    "query",
];

/// What no pure room may say, and why.
const IMPURE: [(&str, &str); 10] = [
    ("tokio", "it is synchronous"),
    ("std::thread", "it is synchronous"),
    ("std::fs", "it reads no file"),
    ("std::net", "it knows no network"),
    ("std::env", "it reads no environment"),
    ("std::process", "it starts nothing"),
    ("SystemTime", "the time is told to it"),
    ("Instant::now", "the time is told to it"),
    ("crate::clock", "the time is told to it"),
    ("println!", "it prints nothing"),
];

/// A package and the files that may use it: a folder ends in `/`.
const PACKAGES: [(&str, &[&str]); 53] = [
    ("jsonwebtoken", &["auth/"]),
    ("ring", &["auth/signatures.rs"]),
    ("subtle", &["auth/token.rs"]),
    ("tokio_rustls", &["http/tls.rs"]),
    ("lz4_flex", &["checkpoint/chunk.rs"]),
    ("xxhash_rust", &["checkpoint/chunk.rs", "store/checkpoints.rs", "projection/digest.rs", "app/checkpoints.rs"]),
    ("petgraph", &["graph/digraph.rs"]),
    ("hashbrown", &["graph/"]),
    ("caseless", &["graph/words.rs"]),
    ("unicode_segmentation", &["graph/words.rs"]),
    ("unicode_normalization", &["graph/words.rs"]),
    (
        "apollo_compiler",
        &["model/source.rs", "model/reader.rs", "model/directives.rs", "model/kinds.rs", "model/names.rs", "api/"],
    ),
    ("apollo_parser", &["api/colons.rs"]),
    ("cel", &["model/rule.rs"]),
    ("sha2", &["api/documents.rs", "auth/token.rs", "keys/"]),
    ("strsim", &["model/reader.rs"]),
    ("dashmap", &["http/server.rs"]),
    ("hyper", &["http/server.rs"]),
    ("hyper_util", &["http/server.rs"]),
    ("tower", &["http/server.rs"]),
    ("fjall", &["source/log/"]),
    ("rustix", &["source/log/", "store/files.rs", "http/server.rs"]),
    ("aes_gcm_siv", &["query/cursor.rs", "keys/"]),
    ("zeroize", &["keys/"]),
    ("zeroizing_alloc", &["main.rs"]),
    ("base64", &["auth/", "query/cursor.rs", "encoding/", "cdc/row.rs"]),
    ("arc_swap", &["serving/", "keys/"]),
    ("quick_cache", &["api/documents.rs"]),
    ("axum", &["http/", "app/"]),
    ("tower_http", &["http/"]),
    ("rust_embed", &["http/pages.rs"]),
    ("prometheus", &["telemetry/metrics.rs", "telemetry/memory.rs"]),
    ("tikv_jemalloc_ctl", &["telemetry/memory.rs"]),
    ("tracing_subscriber", &["telemetry/logs.rs"]),
    ("clap", &["cli/", "config/options.rs", "telemetry/logs.rs"]),
    ("indicatif", &["cli/progress.rs", "cli/demo.rs"]),
    ("ureq", &["auth/source.rs", "cli/service.rs", "encoding/registry/client.rs"]),
    ("jaq_core", &["cdc/"]),
    ("jaq_json", &["cdc/"]),
    ("jaq_std", &["cdc/program.rs"]),
    ("fancy_regex", &["cdc/regex.rs"]),
    ("stacker", &["cdc/program.rs"]),
    ("jiff", &["cdc/", "encoding/calendar.rs"]),
    ("prost_reflect", &["encoding/protobuf/"]),
    ("protox", &["encoding/protobuf/"]),
    ("num_bigint", &["encoding/decimal.rs"]),
    ("ruzstd", &["demo/"]),
    ("toml", &["config/file.rs"]),
    ("rdkafka", &["source/kafka/"]),
    ("object_store", &["store/objects.rs"]),
    ("reqwest", &[]),
    ("rustls", &["http/tls.rs", "store/objects.rs"]),
    ("x509_parser", &["http/tls.rs"]),
];

/// What stands nowhere, in code or tests.
const NOWHERE: [(&str, &str); 3] = [
    ("todo!", "finish it, or file an issue"),
    ("unimplemented!", "leave no stub"),
    ("dbg!", "use `tracing`, or take it out"),
];

/// The files that may sleep: a shutdown and a body have a deadline, and without a file for a connection there is nothing
/// else to wait for.
const SLEEPS: [&str; 2] = ["src/app/mod.rs", "src/http/server.rs"];

/// Folders of somebody's machine. Split, so that this file does not hold them.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Use", "rs/"), concat!("/wo", "rk/")];

struct File {
    /// From the project's folder, with `/`.
    path: String,
    text: String,
    /// The text with comments and the insides of literals blanked, line for line.
    code: String,
}

impl File {
    /// From `src`.
    fn inner(&self) -> &str {
        self.path.strip_prefix("src/").unwrap_or(&self.path)
    }

    /// The first part of its path in `src`, without `.rs`.
    fn room(&self) -> &str {
        let first = self.inner().split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !["node_modules", "target"].contains(&name.to_string_lossy().as_ref()) {
                walk(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|extension| extensions.contains(&extension.to_string_lossy().as_ref())) {
            found.push(path);
        }
    }
}

/// The Rust files of a folder, in order.
fn rust_files(folder: &str) -> Vec<File> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &["rs"], &mut paths);
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> File {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    let relative = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
    File { path: relative, code: code_of(&text), text }
}

/// Blanks comments and the insides of text and character literals, and keeps every line's place.
fn code_of(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let blank = |code: &mut String, character: char| code.push(if character == '\n' { '\n' } else { ' ' });
    let mut index = 0;
    while index < characters.len() {
        let end = match at(index) {
            '/' if at(index + 1) == '/' => {
                let length = characters[index..].iter().position(|character| *character == '\n');
                length.map_or(characters.len(), |length| index + length)
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                let mut end = index;
                while end < characters.len() {
                    match (at(end), at(end + 1)) {
                        ('/', '*') => (depth, end) = (depth + 1, end + 2),
                        ('*', '/') => (depth, end) = (depth - 1, end + 2),
                        _ => end += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
                end
            }
            'r' if !(index > 0 && is_word(at(index - 1)) && at(index - 1) != 'b')
                && ['"', '#'].contains(&at(index + 1)) =>
            {
                let hashes = (index + 1..).take_while(|place| at(*place) == '#').count();
                if at(index + 1 + hashes) == '"' {
                    let closing: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                    let closing: Vec<char> = closing.chars().collect();
                    let from = index + 2 + hashes;
                    let length = characters[from..].windows(closing.len()).position(|window| window == closing);
                    length.map_or(characters.len(), |length| from + length + closing.len())
                } else {
                    index
                }
            }
            '"' => {
                let mut end = index + 1;
                while end < characters.len() && at(end) != '"' {
                    end += if at(end) == '\\' { 2 } else { 1 };
                }
                end + 1
            }
            '\'' if at(index + 1) == '\\' => {
                let length = (index + 3..characters.len()).find(|place| at(*place) == '\'');
                length.map_or(characters.len(), |place| place + 1)
            }
            '\'' if at(index + 2) == '\'' => index + 3,
            _ => index,
        };
        if end == index {
            code.push(at(index));
            index += 1;
        } else {
            characters[index..end.min(characters.len())].iter().for_each(|character| blank(&mut code, *character));
            index = end;
        }
    }
    code
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether a line says a word or a path, standing alone.
fn says(line: &str, wanted: &str) -> bool {
    line.match_indices(wanted).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + wanted.len()..].chars().next();
        let open_end = wanted.ends_with(|last: char| !is_word(last));
        !before.is_some_and(is_word) && (open_end || !after.is_some_and(is_word))
    })
}

/// Whether a line uses a package by its path: `name::`, `use name;`, `extern crate name`.
fn uses(line: &str, package: &str) -> bool {
    line.match_indices(package).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + package.len()..]);
        // `::name` and `.name` are members of something else.
        let apart = !before.ends_with(|last: char| is_word(last) || last == ':' || last == '.');
        let path = after.trim_start().starts_with("::") && apart;
        let statement =
            before.trim_start().starts_with("use ") && before.trim() == "use" && !after.starts_with(is_word);
        path || statement
    })
}

/// The rooms that a file imports: `crate::room`, in statements and in code, `crate::{a, b}` included.
fn imports(file: &File) -> BTreeMap<String, usize> {
    let mut rooms = BTreeMap::new();
    for (start, _) in file.code.match_indices("crate::") {
        if file.code[..start].chars().next_back().is_some_and(|before| is_word(before) || before == '$') {
            continue;
        }
        let line = file.code[..start].matches('\n').count() + 1;
        let rest = &file.code[start + "crate::".len()..];
        let names: Vec<String> = match rest.strip_prefix('{') {
            Some(group) => first_names(group),
            None => vec![rest.chars().take_while(|character| is_word(*character)).collect()],
        };
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            rooms.entry(name).or_insert(line);
        }
    }
    rooms
}

/// The first name of each member of a `{…}` group, nested groups left out.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut name, mut taken) = (Vec::new(), 0usize, String::new(), false);
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                taken = false;
            }
            _ if depth > 0 || taken => {}
            character if is_word(character) => name.push(character),
            _ => taken = !name.is_empty(),
        }
    }
    names.push(name);
    names
}

/// The table `room | imports` of ARCHITECTURE.md: every room's own row, `–` for none.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is at the project's top");
    let rows = text.lines().skip_while(|line| !is_head(line)).skip(2).take_while(|line| line.starts_with('|'));
    let mut rooms = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [room, imports, ..] = cells[..] else {
            panic!("ARCHITECTURE.md: a row of the rooms' table has too few cells: {row}")
        };
        let words = imports
            .split([' ', ','])
            .map(|word| word.trim_matches('`'))
            .filter(|word| !word.is_empty() && *word != "–");
        let old = rooms.insert(room.trim_matches('`').to_owned(), words.map(str::to_owned).collect());
        assert!(old.is_none(), "ARCHITECTURE.md: {room} stands twice in the rooms' table");
    }
    assert!(!rooms.is_empty(), "ARCHITECTURE.md has no table that starts with `| room | imports |`");
    rooms
}

fn is_head(line: &str) -> bool {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    line.starts_with('|') && cells.first() == Some(&"room") && cells.get(1) == Some(&"imports")
}

/// Fails with all faults at once.
fn none(faults: &[String]) {
    let mut list = String::new();
    for fault in faults {
        let _ = write!(list, "\n  {fault}");
    }
    assert!(faults.is_empty(), "{} faults:{list}", faults.len());
}

/// Every line of code that `is_fault` gives a reason for.
fn lines(files: &[File], is_fault: impl Fn(&File, &str) -> Option<String>) -> Vec<String> {
    let of_file = |file: &File| -> Vec<String> {
        let numbered = file.code.lines().enumerate();
        numbered
            .filter_map(|(index, line)| Some(format!("{}:{}: {}", file.path, index + 1, is_fault(file, line)?)))
            .collect()
    };
    files.iter().flat_map(of_file).collect()
}

#[test]
fn the_arrows_are_those_of_the_architecture() {
    let table = table();
    let mut faults = Vec::new();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files("src").iter().filter(|file| !["lib.rs", "main.rs"].contains(&file.inner())) {
        let room = file.room().to_owned();
        let Some(allowed) = table.get(&room) else {
            faults.push(format!("{}: the room `{room}` has no row in ARCHITECTURE.md's table", file.path));
            continue;
        };
        let of_room = seen.entry(room.clone()).or_default();
        for (import, line) in imports(file).into_iter().filter(|(import, _)| *import != room) {
            if !table.contains_key(&import) {
                faults.push(format!("{}:{line}: `crate::{import}` is no room of ARCHITECTURE.md's table", file.path));
            } else if !allowed.contains(&import) {
                let known: Vec<&str> = allowed.iter().map(String::as_str).collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                faults.push(format!(
                    "{}:{line}: `{room}` may not import `{import}`: ARCHITECTURE.md lets it import {known}",
                    file.path
                ));
            }
            of_room.insert(import);
        }
    }
    for (room, allowed) in &table {
        match seen.get(room) {
            None => faults.push(format!("ARCHITECTURE.md: the table has a room `{room}`, and `src` has none")),
            Some(seen) => faults.extend(allowed.difference(seen).map(|import| {
                format!(
                    "ARCHITECTURE.md: `{room}` is said to import `{import}`, and does not: take it out of the table"
                )
            })),
        }
    }
    none(&faults);
}

#[test]
fn no_two_pure_rooms_import_each_other_in_a_circle() {
    let table = table();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&str> = PURE.to_vec();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|room| {
            let ready =
                table.get(*room).is_some_and(|imports| imports.iter().all(|import| done.contains(import.as_str())));
            if ready {
                done.insert(room);
            }
            !ready
        });
        assert!(
            left.len() < before,
            "ARCHITECTURE.md: of {left:?}, none imports only pure rooms that stand on their own"
        );
    }
}

#[test]
fn a_package_lives_in_one_room() {
    let is_fault = |file: &File, line: &str| {
        let package = PACKAGES.iter().find(|(package, places)| {
            let allowed =
                |place: &&str| file.inner() == *place || place.ends_with('/') && file.inner().starts_with(*place);
            uses(line, package) && !places.iter().any(allowed)
        });
        package.map(|(package, places)| match places {
            [] => format!("`{package}` is used nowhere yet"),
            places => format!("`{package}` is used in {} only", places.join(", ")),
        })
    };
    none(&lines(&rust_files("src"), is_fault));
}

#[test]
fn the_pure_rooms_have_no_clock_no_files_no_threads() {
    let files: Vec<File> = rust_files("src").into_iter().filter(|file| PURE.contains(&file.room())).collect();
    let is_fault = |file: &File, line: &str| {
        let (what, why) = IMPURE.iter().find(|(what, _)| says(line, what))?;
        Some(format!("`{what}` does not belong in `{}`: {why}", file.room()))
    };
    none(&lines(&files, is_fault));
}

#[test]
fn no_file_is_a_city() {
    let long = |file: &File| {
        let lines = file.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{} has {lines} lines: split it, {LINES_MAX} are the most", file.path))
    };
    none(&rust_files("src").iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn only_tests_unwrap() {
    let mut files = rust_files("src");
    // A room's tests in a file of their own.
    files.retain(|file| !file.path.ends_with("/tests.rs"));
    for file in &mut files {
        if let Some(start) = file.code.find("#[cfg(test)]") {
            file.code.truncate(start);
        }
    }
    let is_fault = |_: &File, line: &str| {
        let fault = "`.unwrap()` says nothing when it fails: handle it, or `.expect(\"why it holds\")`";
        line.contains(".unwrap()").then(|| fault.to_owned())
    };
    none(&lines(&files, is_fault));
}

#[test]
fn nothing_is_left_unfinished_and_nothing_sleeps() {
    let mut files = ["src", "examples", "benches", "tests"].map(rust_files);
    let files: Vec<File> = files.iter_mut().flat_map(std::mem::take).collect();
    let is_fault = |file: &File, line: &str| {
        if let Some((what, instead)) = NOWHERE.iter().find(|(what, _)| says(line, what)) {
            return Some(format!("`{what}` stands nowhere: {instead}"));
        }
        let sleeps = ["thread::sleep", "time::sleep"]
            .iter()
            .find(|sleep| says(line, sleep))
            .filter(|_| !SLEEPS.contains(&&*file.path));
        sleeps.map(|sleep| {
            format!("`{sleep}` is for {} only: wait for what must happen, with a bound", SLEEPS.join(", "))
        })
    };
    none(&lines(&files, is_fault));
}

#[test]
fn no_text_holds_a_path_of_somebodys_machine() {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "examples", "benches", "docs", "assets", ".ci"] {
        walk(&root().join(folder), &["rs", "md", "mjs", "toml", "json", "sh", "py", "graphql"], &mut paths);
    }
    let top = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.toml",
        "model.graphql",
        "schema.graphql",
        "test",
        "deny.toml",
    ];
    paths.extend(top.iter().map(|name| root().join(name)).chain([root().join(".ci/run"), root().join("NOTICE")]));
    let mut faults = Vec::new();
    for file in paths.into_iter().filter(|path| path.exists()).map(read) {
        for (index, line) in file.text.lines().enumerate() {
            // A URL's path is nobody's machine.
            let at_start = |(start, _): (usize, &str)| {
                !line[..start].ends_with(|last: char| is_word(last) || "-.:/}".contains(last))
            };
            if let Some(path) = MACHINE_PATHS.iter().find(|path| line.match_indices(**path).any(at_start)) {
                faults.push(format!("{}:{}: `{path}` is a folder of somebody's machine", file.path, index + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "let a = \"x // todo!\"; // dbg!\nlet b = r#\"fjall:: \"q\" \"#; /* axum:: */ let c = '\"'; use d;\nlet e = '\\''; 'f: loop {}";
    let code = code_of(text);
    assert_eq!(code.lines().count(), 3);
    for word in ["todo!", "dbg!", "fjall", "axum", "q"] {
        assert!(!says(&code, word), "{word} in {code}");
    }
    for word in ["let", "use", "d", "e", "loop"] {
        assert!(says(&code, word), "{word} in {code}");
    }
    assert!(uses("use clap::Args;", "clap") && uses("let x: axum::Router", "axum") && uses("use cel;", "cel"));
    assert!(!uses("std::time::Instant", "time") && !uses("cancel::cel_now()", "cel") && !uses("// nothing", "cel"));
    let file = File {
        path: "src/x.rs".into(),
        text: String::new(),
        code: "use crate::{a::b, c::{d, e}, f};\ncrate::g::h()".into(),
    };
    assert_eq!(imports(&file).into_keys().collect::<Vec<_>>(), ["a", "c", "f", "g"]);
}
