//! Commands that ask a service which wants to know who asks, and what is told of its configuration.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::certificates::Authority;
use crate::support::{BINARY, Service, event, folder, root, run};

/// Runs a command with some variables.
fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(BINARY)
        .args(arguments)
        .env_remove("STAYGRAPH_TOKEN")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a token: its text, and what the configuration says of it.
fn token(name: &str, scopes: &str) -> (String, String) {
    let (code, out, err) = run(&["token", name, "--scope", scopes]);
    assert_eq!((code, err.as_str()), (0, ""));
    let (said, toml) = out.split_at(out.find("[[auth.tokens]]").unwrap());
    let token = said.split_whitespace().find(|word| word.starts_with("staygraph_")).unwrap().to_owned();
    assert!(!toml.contains(&token));
    (token, toml.to_owned())
}

#[test]
fn commands_ask_with_a_token_of_a_file_or_the_environment_over_tls_too() {
    let (folder, authority) = (folder(), Authority::new("one"));
    let path = |name: &str| folder.path().join(name);
    let (all, toml) = token("job", "read,pii:read,events:write,ops:read,ops:write");
    let (reader, more) = token("reader", "read");
    let (cert, key) = authority.gives(2100);
    for (name, text) in [
        ("cert.pem", cert),
        ("key.pem", key),
        ("ca.pem", authority.pem()),
        ("token", format!("{all}\n")),
        ("reader", reader.clone()),
        ("empty", "\n".into()),
        ("two", "one two".into()),
        ("staygraph.toml", format!("{toml}{more}[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n")),
        ("events.ndjson", event("person.registered", "ann", 1, json!({ "name": "Ann" })).to_string()),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let config = path("staygraph.toml");
    let service = Service::start_with(&path("data"), &root("model.graphql"), &["--config", text(&config)]);
    let to = format!("https://localhost:{}", service.url.rsplit(':').next().unwrap());
    let ca = ("SSL_CERT_FILE", text(&path("ca.pem")).to_owned());
    let ca = (ca.0, ca.1.as_str());
    let (token_file, events) = (path("token"), path("events.ndjson"));
    let file = ["--token-file", text(&token_file)];
    let commands: [&[&str]; 5] = [
        &["append", text(&events), "--to", &to],
        &["checkpoint", "--to", &to],
        &["dead-letters", "list", "--to", &to],
        &["dead-letters", "list", "--domain", "people", "--to", &to],
        &["verify", &to, &to],
    ];
    for command in commands {
        let (code, _, err) = run_with(&[command, &file].concat(), &[ca]);
        assert_eq!(code, 0, "{command:?}: {err}");
        let (code, _, err) = run_with(command, &[ca, ("STAYGRAPH_TOKEN", &all)]);
        assert_eq!(code, 0, "{command:?}: {err}");
        let (code, _, err) = run_with(command, &[ca, ("STAYGRAPH_TOKEN_FILE", text(&token_file))]);
        assert_eq!(code, 0, "{command:?}: {err}");
        let (code, _, err) = run_with(command, &[ca]);
        assert!(code == 1 && err.contains("send a token") && err.contains("STAYGRAPH_TOKEN"), "{command:?}: {err}");
        let (code, _, err) = run_with(command, &[ca, ("STAYGRAPH_TOKEN", "staygraph_nobodys")]);
        assert!(code == 1 && err.contains("not known") && !err.contains("nobodys"), "{command:?}: {err}");
        let (code, _, err) =
            run_with(command, &[("STAYGRAPH_TOKEN", &all), ("SSL_CERT_FILE", text(&path("none.pem")))]);
        assert!(code == 1 && err.contains("does not answer"), "{command:?}: a certificate of nobody's: {err}");
    }
    // One that may read and no more.
    for (command, scope) in commands[..3].iter().zip(["events:write", "ops:write", "ops:read"]) {
        let (code, _, err) = run_with(command, &[ca, ("STAYGRAPH_TOKEN", &reader)]);
        assert!(code == 1 && err.contains(&format!("`{scope}`")), "{command:?}: {err}");
    }
    for (name, said) in [("empty", "holds no token"), ("two", "holds no token"), ("absent", "cannot be read")] {
        let (code, _, err) = run_with(&["checkpoint", "--to", &to, "--token-file", text(&path(name))], &[ca]);
        assert!(code == 1 && err.contains(said), "{name}: {err}");
    }
    // Never as an argument, which everybody on the machine can read.
    let (code, _, err) = run_with(&["checkpoint", "--to", &to, "--token", &all], &[ca]);
    assert!(code == 2 && err.contains("--token"), "{err}");
    for secret in [&all, &reader] {
        assert!(!service.says_now(secret));
    }
}

#[test]
fn a_token_that_cannot_be_is_not_made() {
    for (arguments, said) in [
        (&["token"][..], "NAME"),
        (&["token", "a"], "--scope"),
        (&["token", "a", "--scope", "reed"], "did you mean `read`"),
        (&["token", "a", "--scope", ""], "no scope"),
        (&["token", "a\"b", "--scope", "read"], "without quotes"),
        (&["token", "", "--scope", "read"], "without quotes"),
    ] {
        let (code, out, err) = run(arguments);
        assert!(code == 2 && out.is_empty() && err.contains(said), "{arguments:?}: {err}");
    }
    assert_ne!(token("a", "read").0, token("a", "read").0);
}

#[test]
fn what_is_wrong_with_auth_is_told_at_its_place() {
    let folder = folder();
    let hash = "0".repeat(64);
    let other = "1".repeat(64);
    std::fs::write(folder.path().join("keys.json"), "{}").unwrap();
    let check = |lines: &str| {
        let path = folder.path().join("staygraph.toml");
        std::fs::write(&path, lines).unwrap();
        let model = root("model.graphql");
        let (code, _, err) = run(&["check", "--model", text(&model), "--config", text(&path)]);
        (code, err.replace(text(&path), "F"))
    };
    let fault = |lines: &str, said: &str| {
        let (code, err) = check(lines);
        assert!(code == 1 && err.contains(said), "{lines}\nis to say `{said}`, and says {err}");
    };
    let token = |name: &str, hash: &str, scopes: &str| {
        format!("[[auth.tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nscopes = {scopes}\n")
    };
    let issuer = |more: &str| {
        let own = |key: &str, value: &str| {
            if more.contains(&format!("{key} =")) { String::new() } else { format!("{key} = {value}\n") }
        };
        let all = [
            own("issuer", "\"https://login.example\""),
            own("audience", "\"staygraph\""),
            own("jwks", "\"https://login.example/keys\""),
            own("algorithms", "[\"ES256\"]"),
        ];
        format!("[[auth.issuers]]\n{}{more}\n", all.concat())
    };
    fault("[auth]\nanonymous = [\"reed\"]", "F:2:14: [auth]: `reed` is no scope: did you mean `read`?");
    fault("[auth]\nanonymus = []", "F:2:1: unknown key `anonymus`: did you mean `anonymous`?");
    fault(&token("a", &hash, "[]"), "F:4:10: [auth]: a token without scopes may do nothing");
    fault(&token("", &hash, "[\"read\"]"), "F:2:8: [auth]: `name` is empty");
    fault(&token("a", "9f86", "[\"read\"]"), "F:3:10: [auth]: `sha256` is the hash of a token");
    fault(&token("a", &"g".repeat(64), "[\"read\"]"), "`staygraph token` makes one");
    fault("[[auth.tokens]]\nname = \"a\"\nscopes = [\"read\"]", "`sha256` is missing");
    fault(
        &(token("a", &hash, "[\"read\"]") + &token("a", &other, "[\"read\"]")),
        "F:6:8: [auth]: this `name` is another's of `tokens` already",
    );
    fault(
        &(token("a", &hash, "[\"read\"]") + &token("b", &hash, "[\"read\"]")),
        "F:7:10: [auth]: this `sha256` is another's of `tokens` already",
    );
    fault(&(issuer("") + &issuer("")), "this `issuer` is another's of `issuers` already");
    fault(&issuer("issuer = \"\""), "`issuer` is empty");
    fault(&issuer("audience = \"\""), "`audience` names what");
    fault(&issuer("audience = []"), "`audience` names what");
    fault(&issuer("audience = 7"), "`audience` is a text, or a list of texts");
    fault(&issuer("algorithms = []"), "without `algorithms` no token is taken");
    fault(&issuer("algorithms = [\"ES256\", \"none\"]"), "`none` is no signature");
    fault(&issuer("algorithms = [\"None\"]"), "`none` is no signature");
    fault(&issuer("algorithms = [\"HS256\"]"), "`HS256` signs by a secret");
    fault(&issuer("algorithms = [\"ES512\"]"), "`ES512` is no algorithm that is taken: did you mean");
    fault(&issuer("jwks = \"ftp://login.example\""), "its URL starts with https://");
    fault(&issuer("jwks = \"https://me:secret@login.example\""), "its URL has credentials");
    fault(&issuer("jwks = \"https://\""), "its URL is none");
    fault(&issuer("jwks = \"absent.json\""), "absent.json cannot be read");
    fault(&issuer("jwks = \"keys.json\""), "keys.json gives no keys: it is no set of keys");
    fault(&issuer("leeway = \"1h\""), "`leeway` is `5m` at most");
    fault(&issuer("leeway = 30"), "`leeway` is a duration");
    let (code, err) = check("[auth]");
    assert!(code == 0 && err.contains("F:1:1: [auth]: nobody may ask anything"), "{err}");
    let (code, err) = check(&issuer("jwks = \"http://login.example/keys\""));
    assert!(code == 0 && err.contains("without TLS"), "{err}");
    let good = [issuer("leeway = \"0s\"\nscopes_claim = \"scp\""), token("a", &hash.to_uppercase(), "[\"read\"]")];
    assert_eq!(check(&good.concat()), (0, String::new()));
    assert_eq!(check(&issuer("jwks = \"http://127.0.0.1:1/keys\"")), (0, String::new()));
}
