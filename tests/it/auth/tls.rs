//! TLS: real certificates, real clients, files that change.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use staygraph::clock;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::support::{BINARY, Service, folder, root, run};

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Files {
        Files { folder: folder() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A service by these certificates, with a line more in its configuration.
    fn serve(&self, (cert, key): &(String, String), more: &str) -> Service {
        self.write("cert.pem", cert);
        self.write("key.pem", key);
        let text = format!("{more}\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n");
        self.write("staygraph.toml", &text);
        self.start()
    }

    fn start(&self) -> Service {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--data").arg(self.path("data")).arg("--model").arg(root("model.graphql"));
        command.arg("--config").arg(self.path("staygraph.toml")).args(["--listen", "127.0.0.1:0"]);
        Service::run(command)
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands with a service, as one who trusts an authority and shows a certificate, if any.
fn connect(service: &Service, trusted: &Authority, own: Option<&(String, String)>) -> Result<Stream, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(service.address()).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    // A client's certificate is judged after the client's own handshake: what it asks tells.
    ask(&mut stream, "/health/live")?;
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    Ok(stream)
}

/// The status of a path, asked over an open connection.
fn ask(stream: &mut Stream, path: &str) -> Result<u16, String> {
    read(stream, path).map(|(status, _)| status)
}

/// The status and the body of a path.
fn read(stream: &mut Stream, path: &str) -> Result<(u16, String), String> {
    let failed = |error: std::io::Error| error.to_string();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").map_err(failed)?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).map_err(failed)?;
        text.extend_from_slice(&buffer[..read]);
        let head = String::from_utf8_lossy(&text);
        let Some((head, body)) = head.split_once("\r\n\r\n") else {
            if read == 0 {
                return Err("closed".into());
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            return status.map(|status| (status, body.to_owned())).ok_or("no status".into());
        }
    }
}

#[test]
fn a_certificate_is_taken_anew_and_no_connection_drops() {
    let (files, first, second) = (Files::new(), Authority::new("first"), Authority::new("second"));
    let service = files.serve(&first.gives(2100), "");
    assert!(service.url.starts_with("https://"), "{}", service.url);
    let mut open = connect(&service, &first, None).unwrap();
    let (status, metrics) = read(&mut open, "/metrics").unwrap();
    assert_eq!(status, 200, "this machine, over TLS");
    // When 2100 begins.
    assert!(metrics.contains("\nstaygraph_certificate_ends_seconds 4102444800\n"), "{metrics}");
    let refused = connect(&service, &second, None).err().unwrap();
    assert!(refused.contains("UnknownIssuer") || refused.contains("certificate"), "{refused}");
    // Without TLS nothing is said.
    let mut plain = TcpStream::connect(service.address()).unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&said));
    // A bad file: the old certificate stays, and the log says why.
    files.write("cert.pem", "no certificate");
    service.says("the old ones stay in use");
    connect(&service, &first, None).unwrap();
    // The new one, and its key a moment later: what does not go together is not taken.
    let (cert, key) = second.gives(2101);
    files.write("cert.pem", &cert);
    connect(&service, &first, None).unwrap();
    files.write("key.pem", &key);
    service.says("the new TLS certificate is in use");
    let mut new = connect(&service, &second, None).unwrap();
    assert!(read(&mut new, "/metrics").unwrap().1.contains("\nstaygraph_certificate_ends_seconds 4133980800\n"));
    assert!(connect(&service, &first, None).is_err());
    assert_eq!(ask(&mut open, "/health/live").unwrap(), 200, "the connection from before lives");
}

#[test]
fn a_certificate_that_has_expired_is_the_clients_to_refuse() {
    let (files, authority) = (Files::new(), Authority::new("one"));
    let service = files.serve(&authority.gives(2021), "");
    let refused = connect(&service, &authority, None).err().unwrap();
    assert!(refused.contains("Expired") || refused.contains("expired"), "{refused}");
}

#[test]
fn mutual_tls_asks_for_a_certificate_and_then_for_a_token() {
    let (files, authority, clients) = (Files::new(), Authority::new("one"), Authority::new("clients"));
    files.write("clients.pem", &clients.pem());
    let service = {
        let (cert, key) = authority.gives(2100);
        files.write("cert.pem", &cert);
        files.write("key.pem", &key);
        files.write(
            "staygraph.toml",
            "[auth]\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \"clients.pem\"\n",
        );
        files.start()
    };
    let good = clients.gives(2100);
    for (name, own) in [
        ("none", None),
        ("another authority's", Some(authority.gives(2100))),
        ("an expired one", Some(clients.gives(2021))),
    ] {
        assert!(connect(&service, &authority, own.as_ref()).is_err(), "{name}");
    }
    let mut stream = connect(&service, &authority, Some(&good)).unwrap();
    assert_eq!(ask(&mut stream, "/metrics").unwrap(), 401, "a certificate is no credential");
    // Another authority of clients from now on.
    let others = Authority::new("others");
    files.write("clients.pem", &others.pem());
    service.says("the new TLS certificate is in use");
    assert!(connect(&service, &authority, Some(&good)).is_err());
    connect(&service, &authority, Some(&others.gives(2100))).unwrap();
}

#[test]
fn who_does_not_shake_hands_holds_up_no_end() {
    let (files, authority) = (Files::new(), Authority::new("one"));
    let service = files.serve(&authority.gives(2100), "");
    let silent: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(service.address()).unwrap()).collect();
    connect(&service, &authority, None).unwrap();
    let began = clock::tick();
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    let took = clock::tick() - began;
    assert!(took.as_secs() < 5, "{took:?}");
    drop(silent);
}

#[test]
fn files_that_cannot_be_used_are_told_at_the_start() {
    let (files, authority) = (Files::new(), Authority::new("one"));
    let (cert, key) = authority.gives(2100);
    files.write("cert.pem", &cert);
    files.write("key.pem", &key);
    files.write("other.pem", &authority.gives(2100).1);
    files.write("empty.pem", "");
    let check = |tls: &str, said: &str| {
        files.write("staygraph.toml", &format!("[tls]\n{tls}\n"));
        let model = root("model.graphql");
        for command in ["check", "serve"] {
            let config = files.path("staygraph.toml");
            let arguments: Vec<&str> =
                vec![command, "--model", text(&model), "--config", text(&config), "--listen", "127.0.0.1:0"];
            let data = files.path("data");
            let arguments = [arguments, vec!["--data", text(&data)]].concat();
            let (code, _, stderr) = run(&arguments);
            assert_eq!(code, 1, "{command} {tls}: {stderr}");
            assert!(stderr.contains(said), "{command} {tls}: {stderr}");
        }
    };
    check("cert = \"cert.pem\"", "`key` is missing");
    check("cert = \"cert.pem\"\nkey = \"absent.pem\"", "`key`: ");
    check("cert = \"absent.pem\"\nkey = \"key.pem\"", "`cert`: ");
    check("cert = \"empty.pem\"\nkey = \"key.pem\"", "holds no certificate in PEM");
    check("cert = \"key.pem\"\nkey = \"key.pem\"", "holds no certificate in PEM");
    check("cert = \"cert.pem\"\nkey = \"cert.pem\"", "holds no private key in PEM");
    check("cert = \"cert.pem\"\nkey = \"other.pem\"", "do not go together");
    check("cert = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \"empty.pem\"", "`client_ca`: ");
    check("cert = \"cert.pem\"\nkey = \"key.pem\"\nca = \"cert.pem\"", "unknown key `ca`");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
