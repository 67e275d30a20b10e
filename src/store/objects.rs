//! An object store as a store: S3, Google Cloud Storage or Azure Blob Storage, by the object_store crate. What is small is one put that is
//! refused where the name is taken; what is larger goes up in parts, and is there once they are put together.
//!
//! Whoever stores is a thread and waits; object_store is asynchronous, so a runtime lies in between, which runs while somebody waits.

use std::ffi::OsString;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::{Builder, Runtime};

use super::{Store, Upload};

/// What goes up or comes down at once, in bytes, and all that is held. S3 takes 10,000 parts: 80 GB.
const PART: usize = 8 << 20;
/// How often a request that failed is sent again, and how long after the first at most. A single one has the 30 s of object_store,
/// or what `AWS_TIMEOUT` and its like say.
const RETRIES_MAX: usize = 5;
const RETRYING_MAX: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How much an error repeats of what a store said.
const SAID_MAX: usize = 200;

/// The schemes of URLs; the prefix of the variables that say how each is reached, and one more.
const SCHEMES: [(&str, &str, &str); 3] =
    [("s3", "AWS_", ""), ("gs", "GOOGLE_", "SERVICE_ACCOUNT"), ("az", "AZURE_", "IDENTITY_ENDPOINT")];

/// Whether a URL names an object store.
pub fn is_object_url(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| SCHEMES.iter().any(|(known, ..)| *known == scheme))
}

/// The objects under a prefix of a bucket.
pub struct Objects {
    reached: Arc<Reached>,
    prefix: Path,
}

/// A bucket, and what waits for its answers.
struct Reached {
    store: Box<dyn ObjectStore>,
    /// As the configuration has it, without a last `/`.
    url: String,
    /// The variables that say how it is reached.
    variables: &'static str,
    runtime: Runtime,
}

impl Objects {
    /// Of `s3://BUCKET/PREFIX`, `gs://…` or `az://…`; with which credentials and where the environment says, by the variables that
    /// object_store documents. The store is asked nothing yet.
    pub fn open(url: &str) -> Result<Objects, String> {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Objects::open_by(url, std::env::vars_os().filter_map(text))
    }

    /// The same by other variables, names and values.
    pub fn open_by(url: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Objects, String> {
        let url = url.trim_end_matches('/');
        let none = || format!("`{url}` is no object store's URL: write `s3://BUCKET/PREFIX`, `gs://…` or `az://…`");
        let (scheme, rest) = url.split_once("://").ok_or_else(none)?;
        let (_, of, one) = SCHEMES.into_iter().find(|(known, ..)| *known == scheme).ok_or_else(none)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // As object_store reads its own environment.
        let variables = variables.filter(|(name, _)| name.starts_with(of) || name == one);
        let variables = variables.map(|(name, value)| (name.to_ascii_lowercase(), value));
        // TLS is ring's, as everywhere here. Where somebody has said so already, it is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        macro_rules! built {
            ($builder:ty, $bucket:ident) => {{
                let with = |builder: $builder, (name, value): (String, String)| match name.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                };
                let builder = variables.fold(<$builder>::new(), with);
                builder.$bucket(bucket).with_retry(retrying()).build().map(|store| Box::new(store) as _)
            }};
        }
        let store = match scheme {
            "s3" => built!(AmazonS3Builder, with_bucket_name),
            "gs" => built!(GoogleCloudStorageBuilder, with_bucket_name),
            _ => built!(MicrosoftAzureBuilder, with_container_name),
        };
        let store = store.map_err(|error| {
            format!("{url} cannot be reached: {}: see the variables `{of}…` of the environment", said(&error))
        })?;
        Objects::of(store, url, prefix, of)
    }

    /// What an object_store's store has under a prefix. The URL is what is said of it; the variables are those that say how it is reached.
    pub fn of(
        store: Box<dyn ObjectStore>,
        url: &str,
        prefix: &str,
        variables: &'static str,
    ) -> Result<Objects, String> {
        let prefix = Path::parse(prefix).map_err(|error| format!("`{url}`: {error}"))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime to ask {url} by: {error}"))?;
        Ok(Objects { reached: Arc::new(Reached { store, url: url.to_owned(), variables, runtime }), prefix })
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }
}

fn retrying() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: PAUSE_FIRST, max_backoff: PAUSE_MAX, base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRYING_MAX }
}

impl Reached {
    fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// What failed with an object or, without a name, with all, and what to do.
    fn failed(&self, name: &str, what: &str, error: &Error) -> String {
        let named = if name.is_empty() { self.url.clone() } else { self.named(name) };
        let (said, variables) = (said(error), self.variables);
        // Of a list object_store's error has no kind for these.
        let has = |status: &str| said.contains(&format!("status code: {status}"));
        let advice = if has("401") || has("403") {
            format!(
                "check the credentials in the variables `{variables}…`, and that they may list, read, write and delete there"
            )
        } else if has("404") || said.contains("InvalidBucketName") {
            "is there such a bucket?".to_owned()
        } else {
            format!("check that the store answers, and the variables `{variables}…`")
        };
        format!("{named} cannot be {what}: {said}: {advice}")
    }

    /// All of a small object; none where there is none.
    fn whole(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let got = self.runtime.block_on(async { self.store.get(path).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An object's bytes; none where there is none.
    fn size(&self, path: &Path) -> Result<Option<u64>, Error> {
        match self.runtime.block_on(self.store.head(path)) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a store says of a failure, in short: the innermost cause, without the request's URL or an answer's body, which may hold a
/// signature; of S3's and Azure's answers the code.
fn said(error: &Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let first = text.split(['<', '\n', '{']).next().unwrap_or_default();
    let first: String = first.trim_end_matches([' ', ':']).chars().take(SAID_MAX).collect();
    match code {
        Some(code) => format!("{first}, {}", code.chars().take(SAID_MAX).collect::<String>()),
        None => first,
    }
}

impl Store for Objects {
    fn names(&self) -> Result<Vec<String>, String> {
        let reached = &self.reached;
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let listed = reached.runtime.block_on(reached.store.list_with_delimiter(prefix));
        let listed = listed.map_err(|error| reached.failed("", "listed", &error))?;
        Ok(listed.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, String> {
        let path = self.path(name);
        let size = self.reached.size(&path).map_err(|error| self.reached.failed(name, "read", &error))?;
        Ok(size.map(|size| {
            let (reached, name) = (self.reached.clone(), name.to_owned());
            Box::new(Ranges { reached, path, name, at: 0, size, held: Cursor::default() }) as _
        }))
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload + '_>, String> {
        let reached = &self.reached;
        Ok(Box::new(Uploading { reached, path: self.path(name), name: name.to_owned(), held: Vec::new(), parts: None }))
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        match self.reached.runtime.block_on(self.reached.store.delete(&self.path(name))) {
            Err(error) if !matches!(error, Error::NotFound { .. }) => Err(self.reached.failed(name, "removed", &error)),
            _ => Ok(()),
        }
    }

    fn location(&self, name: &str) -> String {
        self.reached.named(name)
    }
}

/// An object, read part by part.
struct Ranges {
    reached: Arc<Reached>,
    path: Path,
    name: String,
    /// Where the next part begins.
    at: u64,
    size: u64,
    held: Cursor<Vec<u8>>,
}

impl Read for Ranges {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.held.read(buffer)?;
        if read > 0 || buffer.is_empty() || self.at == self.size {
            return Ok(read);
        }
        let part = self.at..self.size.min(self.at + PART as u64);
        let reached = &self.reached;
        let bytes = reached.runtime.block_on(reached.store.get_range(&self.path, part.clone()));
        let bytes = bytes.map_err(|error| io::Error::other(reached.failed(&self.name, "read", &error)))?;
        if bytes.len() as u64 != part.end - part.start {
            return Err(io::Error::other(format!("{} changed while it was read", reached.named(&self.name))));
        }
        self.at = part.end;
        self.held = Cursor::new(bytes.into());
        self.held.read(buffer)
    }
}

struct Uploading<'a> {
    reached: &'a Reached,
    path: Path,
    name: String,
    /// What did not go up yet, a part at most.
    held: Vec<u8>,
    /// None as long as all fits one part, and once it is over.
    parts: Option<Parts>,
}

/// Parts that went up.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    bytes: u64,
}

impl Uploading<'_> {
    fn failed(&self, error: &Error) -> String {
        self.reached.failed(&self.name, "written", error)
    }

    fn taken(&self) -> String {
        format!("{} is there already", self.reached.named(&self.name))
    }

    /// Sends what is held.
    fn send(&mut self) -> Result<(), String> {
        let runtime = &self.reached.runtime;
        if self.parts.is_none() {
            let begun = runtime.block_on(self.reached.store.put_multipart(&self.path));
            self.parts = Some(Parts { upload: begun.map_err(|error| self.failed(&error))?, bytes: 0 });
        }
        let part = std::mem::take(&mut self.held);
        let Some(parts) = &mut self.parts else { return Ok(()) };
        parts.bytes += part.len() as u64;
        // The part is begun in the runtime too: it may need its timers.
        let sent = runtime.block_on(async { parts.upload.put_part(part.into()).await });
        sent.map_err(|error| self.failed(&error))
    }

    /// All in one, where nothing of the name is there.
    fn put(&self, bytes: Vec<u8>) -> Result<(), String> {
        let payload = PutPayload::from(bytes);
        let options = PutOptions::from(PutMode::Create);
        match self.reached.runtime.block_on(self.reached.store.put_opts(&self.path, payload.clone(), options)) {
            Ok(_) => Ok(()),
            // Where an answer was lost, what was sent again meets itself.
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => match self.reached.whole(&self.path) {
                Ok(Some(there)) if there.iter().eq(payload.iter().flatten()) => Ok(()),
                Ok(_) => Err(self.taken()),
                Err(error) => Err(self.failed(&error)),
            },
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Puts the parts together. Parts have no condition: that the name is free is looked at before.
    fn complete(&mut self) -> Result<(), String> {
        let Some(parts) = &mut self.parts else { return Ok(()) };
        match self.reached.size(&self.path) {
            Ok(None) => {}
            Ok(Some(_)) => return Err(self.taken()),
            Err(error) => return Err(self.failed(&error)),
        }
        let completed = self.reached.runtime.block_on(parts.upload.complete());
        let bytes = parts.bytes;
        match completed {
            Err(error) if self.reached.size(&self.path).ok().flatten() != Some(bytes) => Err(self.failed(&error)),
            // An error whose answer was lost, or none.
            _ => {
                self.parts = None;
                Ok(())
            }
        }
    }
}

impl Upload for Uploading<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.held.len() == PART {
                self.send()?;
            }
            if self.held.capacity() == 0 {
                // At once: growing would cost as much again.
                self.held.reserve_exact(PART);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        if self.parts.is_none() {
            let bytes = std::mem::take(&mut self.held);
            return self.put(bytes);
        }
        self.send()?;
        self.complete()
    }
}

impl Drop for Uploading<'_> {
    fn drop(&mut self) {
        if let Some(parts) = &mut self.parts {
            // The store keeps parts of an upload that nobody ends, for as long as its lifecycle rules say.
            if let Err(error) = self.reached.runtime.block_on(parts.upload.abort()) {
                tracing::warn!(
                    object = self.reached.named(&self.name),
                    reason = said(&error),
                    "an upload that failed may have left parts in the store"
                );
            }
        }
    }
}
