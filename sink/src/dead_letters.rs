//! Where messages go that no table takes: the dead-letter topic, whole, with where they came from
//! and why.
//!
//! A letter is written before its batch is inserted, so a crash may write it twice, never lose it. Its
//! source topic, partition and offset say which letters are the same.

use std::time::Duration;

use patchline_runtime::kafka::{KafkaConfig, MESSAGE_BYTES_MAX};
use patchline_schemas::topic::dead_letter;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::batch::Reject;

/// A writer to the dead-letter topic.
#[derive(Clone)]
pub struct DeadLetters {
    producer: FutureProducer,
    topic: String,
}

impl DeadLetters {
    /// A writer to `topic`.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn new(kafka: &KafkaConfig, topic: &str) -> Result<Self, KafkaError> {
        let bytes_max = (MESSAGE_BYTES_MAX + 64 * 1024).to_string();
        let producer = kafka
            .client(
                "patchline-sink-dead-letters",
                &[
                    ("enable.idempotence", "true"),
                    ("acks", "all"),
                    ("compression.type", "lz4"),
                    ("message.max.bytes", &bytes_max),
                    ("queue.buffering.max.kbytes", "32768"),
                    ("delivery.timeout.ms", "30000"),
                ],
            )
            .create()?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Writes one letter and waits until Kafka has it.
    ///
    /// # Errors
    /// Kafka has not taken it; it may be written again.
    pub async fn write(
        &self,
        topic: &str,
        partition: i32,
        reject: &Reject,
    ) -> Result<(), KafkaError> {
        let whole = &reject.message.payload;
        match self.send(topic, partition, reject, whole).await {
            // It was compressed better where it came from. A letter without its end beats a partition
            // that stands still.
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) =>
            {
                let beginning = whole.get(..dead_letter::BEGINNING_BYTES).unwrap_or(whole);
                self.send(topic, partition, reject, beginning).await
            }
            sent => sent,
        }
    }

    async fn send(
        &self,
        topic: &str,
        partition: i32,
        reject: &Reject,
        payload: &[u8],
    ) -> Result<(), KafkaError> {
        let text = &reject.text;
        let end = text.floor_char_boundary(dead_letter::ERROR_TEXT_BYTES_MAX);
        let bytes = reject.message.payload.len().to_string();
        let (partition, offset) = (partition.to_string(), reject.message.offset.to_string());
        let headers = [
            (dead_letter::SOURCE_TOPIC, topic),
            (dead_letter::SOURCE_PARTITION, &partition),
            (dead_letter::SOURCE_OFFSET, &offset),
            (dead_letter::STAGE, "sink"),
            (dead_letter::ERROR_CLASS, reject.class),
            (dead_letter::ERROR_TEXT, text.get(..end).unwrap_or_default()),
            (dead_letter::PAYLOAD_BYTES, &bytes),
        ]
        .into_iter()
        .fold(OwnedHeaders::new_with_capacity(7), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic)
            .payload(payload)
            .timestamp(reject.message.timestamp.0)
            .headers(headers);
        if let Some(key) = &reject.message.key {
            record = record.key(key);
        }
        self.producer
            .send(record, Duration::from_secs(30))
            .await
            .map(|_| ())
            .map_err(|(error, _)| error)
    }
}
