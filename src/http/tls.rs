//! TLS, by rustls: a certificate that is read anew when its files change, and clients' certificates where they are wanted.
//!
//! A client's certificate is needed to connect, and gives no rights: those come of a token.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits::HANDSHAKE_MS_MAX;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What connections are secured by.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    now: RwLock<Current>,
}

/// What is in use.
#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    /// When the first of the chain's certificates ends, in seconds since 1970.
    ends_at_s: Option<i64>,
}

impl Tls {
    /// Reads the files, in PEM. The error names the one at fault, and what is wrong with it.
    pub fn open(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Tls, String> {
        let config = configuration(cert, key, client_ca)?;
        Ok(Tls {
            cert: cert.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
            now: RwLock::new(config),
        })
    }

    /// Shakes hands with who connected. None where that fails, or takes too long.
    pub async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        let shaken = TlsAcceptor::from(now).accept(stream);
        match tokio::time::timeout(Duration::from_millis(HANDSHAKE_MS_MAX), shaken).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    /// When the certificate in use ends, or the first of those that it is signed by, in seconds since 1970. None where they do not
    /// say so readably.
    pub fn ends_at_s(&self) -> Option<i64> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).ends_at_s
    }

    /// Reads the files anew when they change, for ever. Open connections stay as they are; where the new files are at fault the old
    /// certificate stays too.
    pub async fn keep(self: Arc<Tls>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut seen = None;
        loop {
            ticks.tick().await;
            let tls = self.clone();
            let looked = tokio::task::spawn_blocking(move || tls.look(seen)).await;
            seen = looked.unwrap_or(seen);
        }
    }

    /// Looks at the files, and takes what is new. Gives what was seen.
    fn look(&self, seen: Option<u64>) -> Option<u64> {
        let now = self.print();
        if seen.is_none() || seen == Some(now) {
            return Some(now);
        }
        match configuration(&self.cert, &self.key, self.client_ca.as_deref()) {
            Ok(config) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the new TLS certificate is in use");
            }
            Err(why) => tracing::error!(why, "the TLS files have changed and cannot be used: the old ones stay in use"),
        }
        Some(now)
    }

    /// A fingerprint of what the files hold.
    fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let files = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        files.into_iter().flatten().for_each(|path| std::fs::read(path).ok().hash(&mut hasher));
        hasher.finish()
    }
}

fn configuration(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Current, String> {
    let provider = Arc::new(default_provider());
    let chain = certificates("cert", cert)?;
    let ends = |certificate: &CertificateDer<'_>| {
        x509_parser::parse_x509_certificate(certificate).ok().map(|(_, read)| read.validity().not_after.timestamp())
    };
    let ends_at_s = chain.iter().filter_map(ends).min();
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("[tls]: `key`: {} holds no private key in PEM: {error}", key.display()))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("[tls]: {error}"))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca", path)? {
                let fault = |error| format!("[tls]: `client_ca`: {} cannot be used: {error}", path.display());
                roots.add(certificate).map_err(fault)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("[tls]: `client_ca`: {error}"))?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, secret)
        .map_err(|error| format!("[tls]: {} and {} do not go together: {error}", cert.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Current { config: Arc::new(config), ends_at_s })
}

/// All certificates of a file.
fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let none = |why: String| format!("[tls]: `{option}`: {} holds no certificate in PEM: {why}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|error| none(error.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| none(error.to_string()))?;
    if found.is_empty() { Err(none("it has none".into())) } else { Ok(found) }
}
