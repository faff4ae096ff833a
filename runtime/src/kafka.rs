//! Kafka clients: one place for the connection, and the topics a deployment needs.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

/// The largest message any topic takes, in bytes: a scan of fifty thousand updates fits.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a broker counts beside the message itself: the frame of its batch, and the headers of a dead
/// letter. A topic takes that much more, so that the largest message still fits when it is rejected.
pub const MESSAGE_OVERHEAD_MAX: usize = 64 * 1024;

/// `[kafka]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to begin with: `host:port,host:port`.
    pub bootstrap: String,
    /// Prefix of every topic and consumer group.
    pub topic_prefix: String,
    /// Further librdkafka settings, passed on as they are; they win over the service's own.
    pub settings: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            topic_prefix: "patchline".to_owned(),
            settings: BTreeMap::new(),
        }
    }
}

impl KafkaConfig {
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
