//! An issuer's keys: had, had anew, and kept while the issuer is away.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use staygraph::auth::{KeySource, Refusal};
use staygraph::clock;

use super::signing::{ISSUER, NOW, Signer, authority, claims_at, claims_with, issuer};
use crate::support::{Service, folder, hex, root};

/// An issuer's page of keys, over HTTP.
struct Page {
    url: String,
    body: Arc<Mutex<String>>,
    is_away: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl Page {
    fn start(keys: &[Json]) -> Page {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let page = Page {
            url: format!("http://{}/keys", listener.local_addr().unwrap()),
            body: Arc::default(),
            is_away: Arc::default(),
            asked: Arc::default(),
        };
        page.publish(keys);
        let (body, is_away, asked) = (page.body.clone(), page.is_away.clone(), page.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                asked.fetch_add(1, Ordering::SeqCst);
                let mut lines = BufReader::new(&stream).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let body = body.lock().unwrap().clone();
                let status = if is_away.load(Ordering::SeqCst) { "503 Service Unavailable" } else { "200 OK" };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(body.as_bytes()));
            }
        });
        page
    }

    fn publish(&self, keys: &[Json]) {
        *self.body.lock().unwrap() = json!({ "keys": keys }).to_string();
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

const UNKNOWN: Refusal = Refusal::Bad("the token's signature is by a key that is not known");

/// A minute of the clock that the keys are kept by.
async fn minute() {
    tokio::time::advance(Duration::from_secs(61)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_asked_for_once_a_minute_and_found_when_it_is_there() {
    let (old, new) = (Signer::point(), Signer::point());
    let page = Page::start(&[old.jwk("old")]);
    let mut config = issuer(ISSUER, &root("unused"));
    config.keys = KeySource::Url(page.url.clone());
    let authority = Arc::new(authority(vec![config]));
    let (by_old, by_new) = (old.token("old", &claims_with(json!({}))), new.token("new", &claims_with(json!({}))));
    assert!(authority.rights(&by_old, NOW).await.is_ok());
    assert_eq!(page.asked(), 1);
    // Whoever makes up names has the issuer asked no more.
    for number in 0..1000 {
        let made_up = old.token(&format!("made-up-{number}"), &claims_with(json!({})));
        assert_eq!(authority.rights(&made_up, NOW).await.err(), Some(UNKNOWN));
    }
    assert_eq!(page.asked(), 1);
    // A rotation: both keys are published, then the old one goes.
    page.publish(&[old.jwk("old"), new.jwk("new")]);
    assert_eq!(authority.rights(&by_new, NOW).await.err(), Some(UNKNOWN), "within the minute");
    minute().await;
    let all = (0..100).map(|_| {
        let (authority, by_new) = (authority.clone(), by_new.clone());
        tokio::spawn(async move { authority.rights(&by_new, NOW).await.is_ok() })
    });
    for one in all.collect::<Vec<_>>() {
        assert!(one.await.unwrap());
    }
    assert_eq!(page.asked(), 2, "a hundred at once ask once");
    assert!(authority.rights(&by_old, NOW).await.is_ok());
    page.publish(&[new.jwk("new")]);
    // Nobody asks for a key: the one that was withdrawn goes all the same.
    tokio::time::advance(Duration::from_secs(601)).await;
    let status = || authority.issuers()[0].status();
    while page.asked() < 3 || status().age.is_some_and(|age| age > Duration::from_secs(60)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(authority.rights(&by_old, NOW).await.err(), Some(UNKNOWN));
    assert!(authority.rights(&by_new, NOW).await.is_ok());
    // The issuer goes: what is known stays, and what is not stays unknown.
    page.is_away.store(true, Ordering::SeqCst);
    minute().await;
    assert_eq!(authority.rights(&by_old, NOW).await.err(), Some(UNKNOWN));
    assert!(authority.rights(&by_new, NOW).await.is_ok());
    assert_eq!((page.asked(), status().failures, status().keys), (4, 1, 1));
    // It publishes nonsense: so too.
    page.is_away.store(false, Ordering::SeqCst);
    *page.body.lock().unwrap() = "<html>maintenance</html>".into();
    minute().await;
    assert_eq!(authority.rights(&by_old, NOW).await.err(), Some(UNKNOWN));
    assert!(authority.rights(&by_new, NOW).await.is_ok());
    assert_eq!(status().failures, 2);
}

#[tokio::test(start_paused = true)]
async fn where_keys_were_never_had_nobody_can_say() {
    let signer = Signer::point();
    let page = Page::start(&[signer.jwk("k")]);
    page.is_away.store(true, Ordering::SeqCst);
    let mut config = issuer(ISSUER, &root("unused"));
    config.keys = KeySource::Url(page.url.clone());
    let authority = authority(vec![config]);
    let token = signer.token("k", &claims_with(json!({})));
    assert_eq!(authority.rights(&token, NOW).await.err(), Some(Refusal::KeysAway(ISSUER.into())));
    assert_eq!(authority.issuers()[0].status().age, None);
    page.is_away.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(authority.rights(&token, NOW).await.is_ok(), "tried again soon");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_does_not_answer_holds_up_nobody() {
    let signer = Signer::point();
    // It takes the connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = issuer(ISSUER, &root("unused"));
    config.keys = KeySource::Url(format!("http://{}/keys", silent.local_addr().unwrap()));
    let authority = Arc::new(authority(vec![config]));
    let token = signer.token("k", &claims_with(json!({})));
    let asks = tokio::spawn(async move { authority.rights(&token, NOW).await.err() });
    // Until it waits.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(asks.await.unwrap(), Some(Refusal::KeysAway(ISSUER.into())));
}

/// Reads a metric's value.
fn metric(service: &Service, line: &str, headers: &[(&str, &str)]) -> Option<f64> {
    let text = service.get("/metrics", headers).text;
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

#[test]
fn a_service_starts_while_its_issuer_is_away_and_says_so() {
    let (data, signer) = (folder(), Signer::edwards());
    let page = Page::start(&[signer.jwk("k")]);
    page.is_away.store(true, Ordering::SeqCst);
    let config = data.path().join("staygraph.toml");
    let ops = hex(&staygraph::auth::hash_of("ops"));
    let text = format!(
        "[auth]\n[[auth.tokens]]\nname = \"ops\"\nsha256 = \"{ops}\"\nscopes = [\"ops:read\"]\n[[auth.issuers]]\nissuer = \"{ISSUER}\"\n\
         audience = [\"staygraph\", \"all\"]\njwks = \"{}\"\nalgorithms = [\"EdDSA\"]\n",
        page.url
    );
    std::fs::write(&config, text).unwrap();
    let service =
        Service::start_with(data.path(), &root("model.graphql"), &["-v", "--config", config.to_str().unwrap()]);
    let secret = "a-secret-subject";
    let token = signer.token("k", &{
        let mut claims = claims_at(clock::now().seconds);
        claims["sub"] = secret.into();
        claims
    });
    let bearer = format!("Bearer {token}");
    let ask = || service.ask("{ people { totalCount } }", &[("authorization", &bearer)]);
    let away = ask();
    assert_eq!((away.status, away.header("retry-after")), (503, Some("1")), "{}", away.text);
    assert_eq!(away.json()["code"], json!("KEYS_AWAY"));
    service.says("its tokens are answered with 503");
    let ops = [("authorization", "Bearer ops")];
    let keys = format!("staygraph_issuer_keys{{issuer=\"{ISSUER}\"}}");
    let failed = format!("staygraph_issuer_fetches_failed_total{{issuer=\"{ISSUER}\"}}");
    assert_eq!(metric(&service, &keys, &ops), Some(0.0));
    assert!(metric(&service, &failed, &ops) >= Some(1.0));
    page.is_away.store(false, Ordering::SeqCst);
    service.says("the issuer's keys are here");
    assert_eq!(ask().status, 200, "{}", ask().text);
    assert_eq!(metric(&service, &keys, &ops), Some(1.0));
    // What was sent is in no log, metric or answer.
    let forged = service.ask("{ people { totalCount } }", &[("authorization", &format!("{bearer}x"))]);
    assert_eq!(forged.status, 401);
    let metrics = service.get("/metrics", &ops).text;
    for secret in [secret, &token[..40], &token[token.len() - 20..], "Bearer ops"] {
        assert!(!service.says_now(secret) && !metrics.contains(secret) && !forged.text.contains(secret), "{secret}");
    }
    service.says("who=\"issuer https://login.example\"");
}
