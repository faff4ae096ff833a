//! Kafka clients: one place for the connection, and the topics a deployment needs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The largest message any topic takes, in bytes: a scan of fifty thousand updates fits.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a broker counts beside the message itself: the frame of its batch, and the headers of a dead
/// letter. A topic takes that much more, so that the largest message still fits when it is rejected.
pub const MESSAGE_OVERHEAD_MAX: usize = 64 * 1024;

/// `[kafka]`
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to begin with: `host:port,host:port`.
    pub bootstrap: String,
    /// Prefix of every topic and consumer group.
    pub topic_prefix: String,
    /// Further librdkafka settings, passed on as they are; they win over the service's own.
    pub settings: BTreeMap<String, String>,
    /// More of them, each with the file that its value is in: `"sasl.password" = "/run/secrets/kafka"`.
    pub settings_in_files: BTreeMap<String, OfFile>,
}

/// What a file holds, without the line feed at its end: read when the settings are, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct OfFile(String);

impl fmt::Debug for OfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for OfFile {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(reader)?;
        let text = std::fs::read_to_string(&path).map_err(|error| {
            D::Error::custom(format!("cannot read {}: {error}", path.display()))
        })?;
        Ok(Self(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Any of the values may be a password.
        f.debug_struct("KafkaConfig")
            .field("bootstrap", &self.bootstrap)
            .field("topic_prefix", &self.topic_prefix)
            .field("settings", &self.settings.keys())
            .field("settings_in_files", &self.settings_in_files)
            .finish()
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            topic_prefix: "patchline".to_owned(),
            settings: BTreeMap::new(),
            settings_in_files: BTreeMap::new(),
        }
    }
}

impl KafkaConfig {
    /// Whether the user sets that librdkafka setting, here or in a file.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        self.settings.contains_key(key) || self.settings_in_files.contains_key(key)
    }

    /// librdkafka's settings for a client: `own` of the service under the user's `settings`.
    #[must_use]
    pub fn client(&self, client_id: &str, own: &[(&str, &str)]) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap).set("client.id", client_id);
        for (key, value) in own {
            client.set(*key, *value);
        }
        for (key, value) in &self.settings {
            client.set(key, value);
        }
        for (key, OfFile(value)) in &self.settings_in_files {
            client.set(key, value);
        }
        client
    }
}

/// Creates the topics that do not exist yet; those that do are left as they are.
///
/// # Errors
/// The brokers refuse, or do not answer within `timeout`.
pub async fn create_topics(
    kafka: &KafkaConfig,
    topics: &[&str],
    partitions: i32,
    replication: i32,
    timeout: Duration,
) -> Result<(), KafkaError> {
    create(kafka, topics, &[], partitions, replication, timeout).await
}

/// Creates topics of which the newest message of each key is kept for good, as [`create_topics`] does.
///
/// # Errors
/// The brokers refuse, or do not answer within `timeout`.
pub async fn create_compacted_topics(
    kafka: &KafkaConfig,
    topics: &[&str],
    partitions: i32,
    replication: i32,
    timeout: Duration,
) -> Result<(), KafkaError> {
    let settings = [("cleanup.policy", "compact")];
    create(kafka, topics, &settings, partitions, replication, timeout).await
}

async fn create(
    kafka: &KafkaConfig,
    topics: &[&str],
    settings: &[(&str, &str)],
    partitions: i32,
    replication: i32,
    timeout: Duration,
) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = kafka.client("patchline-admin", &[]).create()?;
    let bytes_max = (MESSAGE_BYTES_MAX + MESSAGE_OVERHEAD_MAX).to_string();
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| {
            let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication))
                .set("max.message.bytes", &bytes_max);
            settings.iter().fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(timeout));
    for created in admin.create_topics(&wanted, &options).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_a_file_and_is_not_shown() {
        let file = std::env::temp_dir().join(format!("patchline-password-{}", std::process::id()));
        std::fs::write(&file, "hunter two\n").unwrap();
        let toml = format!(
            "[settings]\n\"sasl.username\" = \"somebody\"\n[settings_in_files]\n\"sasl.password\" = {file:?}\n"
        );
        let read = |toml: &str| {
            let source = config::File::from_str(toml, config::FileFormat::Toml);
            let settings = config::Config::builder().add_source(source).build().unwrap();
            settings.try_deserialize::<KafkaConfig>()
        };
        let kafka = read(&toml).unwrap();
        assert_eq!(kafka.client("test", &[]).get("sasl.password"), Some("hunter two"));
        let shown = format!("{kafka:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hunter"), "{shown}");
        assert!(!shown.contains("somebody"), "{shown}");
        std::fs::remove_file(&file).unwrap();
        assert!(read(&toml).unwrap_err().to_string().contains("cannot read"));
    }
}
