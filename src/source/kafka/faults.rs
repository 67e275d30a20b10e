//! What is wrong with a cluster's configuration, tried on librdkafka itself; and what would break what staygraph promises.

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

use super::outlet::Delivered;
use super::{Context, Failure, KafkaConfig};

/// A fault, and the property that it is of; none where it is of the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub property: Option<String>,
    pub message: String,
}

/// What cannot be set, or to nothing else, and why.
const REFUSED: [(&str, &[&str], &str); 12] = [
    ("isolation.level", &["read_committed"], "only what is committed is read: leave it out"),
    ("enable.auto.commit", &[], "positions are staygraph's own"),
    ("auto.commit.enable", &[], "positions are staygraph's own"),
    ("enable.auto.offset.store", &[], "positions are staygraph's own"),
    ("offset.store.method", &[], "positions are staygraph's own"),
    ("offset.store.path", &[], "positions are staygraph's own"),
    ("auto.offset.reset", &[], "an offset that is gone is said, and never jumped over in silence"),
    ("enable.partition.eof", &[], "the ends of logs are asked for otherwise"),
    ("bootstrap.servers", &[], "the brokers are named by `brokers`"),
    ("metadata.broker.list", &[], "the brokers are named by `brokers`"),
    ("topic.blacklist", &[], "it hides topics that are read: name those that are in `topics`"),
    ("transactional.id", &[], "staygraph writes no transactions"),
];

impl KafkaConfig {
    /// What is wrong, all of it. Nothing is sent to a broker.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |property: Option<&str>, message: String| {
            faults.push(Fault { property: property.map(str::to_owned), message });
        };
        for broker in self.brokers.split(',') {
            // librdkafka passes over what it does not know.
            const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
            let scheme = broker.trim().split_once("://").map(|(scheme, _)| scheme.to_uppercase());
            if scheme.is_some_and(|scheme| !PROTOCOLS.contains(&scheme.as_str())) {
                fault(None, format!("`{}` is no broker: write `host:9092`, without a scheme", broker.trim()));
            }
        }
        for (name, value) in &self.properties {
            if let Some((_, allowed, why)) = REFUSED.iter().find(|(refused, ..)| refused == name) {
                if !allowed.contains(&value.as_str()) {
                    fault(Some(name), format!("`{name}` cannot be set: {why}"));
                }
                continue;
            }
            // Each alone, so that none hides another.
            match ClientConfig::new().set(name, value).create_native_config() {
                Err(KafkaError::ClientConfig(_, why, name, _)) => fault(Some(&name), format!("`{name}`: {why}")),
                Err(error) => fault(Some(name), error.to_string()),
                Ok(_) => {}
            }
        }
        if !faults.is_empty() {
            return faults;
        }
        // A client says what its properties come to: files that are not there, a mechanism that is not built in.
        let mut config = self.client_config();
        config.set("bootstrap.servers", "");
        let context = Context { source: "".into(), failure: Failure::default() };
        match BaseConsumer::from_config_and_context(&config, context) {
            Ok(_) => self.mechanism().into_iter().collect(),
            Err(error) => vec![self.explained(&error)],
        }
    }

    /// What librdkafka takes and can never do here: a token that somebody has to fetch.
    fn mechanism(&self) -> Option<Fault> {
        let get = |name: &str| self.properties.get(name).map(String::as_str);
        let name = ["sasl.mechanism", "sasl.mechanisms"].into_iter().find(|name| get(name).is_some())?;
        let is_used =
            get("security.protocol").is_some_and(|protocol| protocol.to_ascii_lowercase().starts_with("sasl"));
        let is_unsecured = get("enable.sasl.oauthbearer.unsecure.jwt") == Some("true");
        let is_token = get(name).is_some_and(|value| value.eq_ignore_ascii_case("OAUTHBEARER"));
        (is_used && is_token && !is_unsecured).then(|| Fault {
            property: Some(name.to_owned()),
            message: "`OAUTHBEARER` is not built in: nothing here fetches tokens; write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".into(),
        })
    }

    /// An error of a client's, of the property that it is about.
    fn explained(&self, error: &KafkaError) -> Fault {
        let text = match error {
            KafkaError::ClientConfig(_, why, name, _) => format!("`{name}`: {why}"),
            KafkaError::ClientCreation(why) => why.clone(),
            other => other.to_string(),
        };
        if text.contains("SASL mechanism") || text.contains("GSSAPI") {
            let property = ["sasl.mechanism", "sasl.mechanisms", "security.protocol"].into_iter();
            let mut property = property.filter(|name| self.properties.contains_key(*name));
            let message = "GSSAPI (Kerberos), which is librdkafka's mechanism unless said, is not built in: write \
                           `\"sasl.mechanism\" = \"PLAIN\"`, SCRAM-SHA-256 or SCRAM-SHA-512";
            return Fault { property: property.next().map(str::to_owned), message: message.into() };
        }
        let named = self.properties.keys().filter(|name| text.contains(name.as_str()));
        let property = named.max_by_key(|name| name.len());
        // OpenSSL's errors go on for lines, and name its own source files.
        let first = text.lines().next().unwrap_or_default();
        let first = first.split(": error:").next().unwrap_or(first);
        Fault { property: property.cloned(), message: format!("librdkafka refuses its properties: {first}") }
    }

    /// Whether a producer takes the properties too. The error says why not.
    pub fn check_outlet(&self) -> Result<(), String> {
        let mut config = super::outlet::client_config(self);
        config.set("bootstrap.servers", "");
        let context = Delivered::new(Context { source: "".into(), failure: Failure::default() });
        let made: Result<BaseProducer<Delivered>, KafkaError> = BaseProducer::from_config_and_context(&config, context);
        made.map(drop).map_err(|error| self.explained(&error).message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FIXED;
    use super::*;

    fn faults(properties: &[(&str, &str)]) -> Vec<Fault> {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        KafkaConfig { brokers: "127.0.0.1:9092".into(), properties }.faults()
    }

    #[test]
    fn what_staygraph_sets_nobody_else_does() {
        for (name, _) in FIXED {
            assert!(REFUSED.iter().any(|(refused, ..)| *refused == name), "{name}");
        }
    }

    #[test]
    fn the_page_names_what_is_refused() {
        let page = include_str!("../../../docs/kafka.md");
        let named = page.split("Not to be set:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        for (name, ..) in REFUSED {
            assert!(named.contains(&format!("`{name}`")), "docs/kafka.md does not name {name}");
        }
    }

    #[test]
    fn what_would_break_the_promise_or_cannot_work_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let absent = folder.path().join("absent.pem");
        let absent = absent.to_str().expect("a path");
        let tls = ("security.protocol", "SSL");
        let sasl = ("security.protocol", "SASL_PLAINTEXT");
        let me = [("sasl.username", "me"), ("sasl.password", "secret")];
        let with = |more: &[(&'static str, &'static str)]| [&me[..], more].concat();
        type Properties<'a> = Vec<(&'a str, &'a str)>;
        let cases: Vec<(Properties<'_>, &[(&str, &str)])> = vec![
            (vec![], &[]),
            (vec![("isolation.level", "read_committed"), ("fetch.min.bytes", "10")], &[]),
            (vec![("isolation.level", "read_uncommitted")], &[("isolation.level", "only what is committed")]),
            (
                vec![("enable.auto.commit", "true"), ("auto.offset.reset", "latest"), ("fetch.min.bytes", "x")],
                &[
                    ("auto.offset.reset", "never jumped over"),
                    ("enable.auto.commit", "staygraph's own"),
                    ("fetch.min.bytes", "Invalid value"),
                ],
            ),
            (vec![("topic.blacklist", "p.*")], &[("topic.blacklist", "hides")]),
            (with(&[sasl]), &[("security.protocol", "GSSAPI (Kerberos)")]),
            (with(&[sasl, ("sasl.mechanism", "GSSAPI")]), &[("sasl.mechanism", "is not built in")]),
            (with(&[sasl, ("sasl.mechanisms", "OAUTHBEARER")]), &[("sasl.mechanisms", "is not built in")]),
            (with(&[sasl, ("sasl.mechanism", "SCRAM-SHA-512")]), &[]),
            (vec![tls, ("ssl.ca.location", absent)], &[("ssl.ca.location", "ssl.ca.location")]),
            (vec![tls, ("ssl.keystore.location", absent)], &[("ssl.keystore.location", "ssl.keystore.location")]),
            (vec![tls, ("ssl.certificate.location", absent)], &[("ssl.certificate.location", "certificate")]),
        ];
        for (properties, expected) in cases {
            let found = faults(&properties);
            assert_eq!(found.len(), expected.len(), "{properties:?}: {found:?}");
            for (fault, (property, said)) in found.iter().zip(expected) {
                assert_eq!(fault.property.as_deref(), Some(*property), "{fault:?}");
                assert!(fault.message.contains(said), "{fault:?}");
            }
        }
    }
}
