//! Where the spool is emptied to.

use std::borrow::Cow;

use patchline_schemas::Topics;
use patchline_schemas::topic::dead_letter::{self, Class};
use rdkafka::message::{Header, OwnedHeaders};
use tokio::sync::watch;

use super::upstream::Upstream;
use crate::publisher::Outgoing;
use crate::spool::{self, Spooled};
use crate::{Advice, Message, PublishError, Publisher};

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The next hop has it.
    Taken,
    /// It does not, and may have it yet; the reason in one word.
    Later(&'static str),
    /// Its topic never takes it; it is in the dead letters.
    DeadLetter,
}

/// Where reports go.
pub enum NextHop {
    /// A Kafka.
    Kafka {
        /// Writes to it.
        publisher: Publisher,
        /// Its topics.
        topics: Box<Topics>,
    },
    /// Another gateway.
    Gateway(Upstream),
}

impl NextHop {
    /// Why the next hop cannot be used now; `None` while it can. The receiver sees every change.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Option<String>> {
        match self {
            Self::Kafka { publisher, .. } => publisher.health(),
            Self::Gateway(upstream) => upstream.health(),
        }
    }

    /// Sends `batch`; returns when it is known what became of each report.
    pub async fn send(&self, batch: &[Spooled]) -> Vec<Fate> {
        match self {
            Self::Kafka { publisher, topics } => publish(publisher, topics, batch).await,
            Self::Gateway(upstream) => upstream.send(batch).await,
        }
    }
}

async fn publish(publisher: &Publisher, topics: &Topics, batch: &[Spooled]) -> Vec<Fate> {
    let records: Vec<_> = batch
        .iter()
        .map(|report| Outgoing {
            topic: spool::topic(topics, report.kind),
            message: &report.message,
            arrived: report.arrived,
            headers: None,
        })
        .collect();
    let outcomes = publisher.deliver(&records).await;
    let mut fates = Vec::with_capacity(batch.len());
    for (report, outcome) in batch.iter().zip(outcomes) {
        fates.push(match outcome {
            Ok(()) => Fate::Taken,
            Err(error) => match error.advice() {
                Advice::RetryLater => {
                    tracing::debug!(%error, "a report stays in the spool");
                    Fate::Later(error.reason())
                }
                Advice::Refuse => bury(publisher, topics, report).await,
            },
        });
    }
    fates
}

/// Sends a report that was too large for its topic once more, alone: a topic judges batches, and it may only
/// have been beside a large one. Writes it to the dead letters if it is too large by itself: whole, or its
/// beginning where they do not take it either.
async fn bury(publisher: &Publisher, topics: &Topics, report: &Spooled) -> Fate {
    let alone = Outgoing {
        topic: spool::topic(topics, report.kind),
        message: &report.message,
        arrived: report.arrived,
        headers: None,
    };
    let error = match publisher.deliver(&[alone]).await.pop() {
        Some(Ok(())) => return Fate::Taken,
        Some(Err(error)) if error.advice() == Advice::Refuse => error,
        Some(Err(error)) => return Fate::Later(error.reason()),
        None => return Fate::Later("too-large"),
    };
    let payload = &report.message.payload;
    let beginning = payload.get(..dead_letter::BEGINNING_BYTES).unwrap_or(payload);
    let cut = Message { key: report.message.key.clone(), payload: beginning.to_vec() };
    for message in [Cow::Borrowed(&report.message), Cow::Owned(cut)] {
        let record = Outgoing {
            topic: &topics.dead_letters,
            message: &message,
            arrived: report.arrived,
            headers: Some(headers(topics, report, &error)),
        };
        match publisher.deliver(&[record]).await.pop() {
            Some(Ok(())) => {
                tracing::error!(
                    topic = spool::topic(topics, report.kind), bytes = payload.len(), %error,
                    "a report became a dead letter"
                );
                return Fate::DeadLetter;
            }
            Some(Err(error)) if error.advice() == Advice::Refuse => {}
            Some(Err(error)) => return Fate::Later(error.reason()),
            None => break,
        }
    }
    Fate::Later(error.reason())
}

fn headers(topics: &Topics, report: &Spooled, error: &PublishError) -> OwnedHeaders {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(dead_letter::ERROR_TEXT_BYTES_MAX));
    let (place, bytes) = (report.seq.to_string(), report.message.payload.len().to_string());
    [
        (dead_letter::SOURCE_TOPIC, spool::topic(topics, report.kind)),
        // It never had one; a replay leaves the choice to the key.
        (dead_letter::SOURCE_PARTITION, "-1"),
        (dead_letter::SOURCE_OFFSET, &place),
        (dead_letter::STAGE, "gateway"),
        (dead_letter::ERROR_CLASS, Class::TooLarge.as_str()),
        (dead_letter::ERROR_TEXT, &text),
        (dead_letter::PAYLOAD_BYTES, &bytes),
    ]
    .into_iter()
    .fold(OwnedHeaders::new_with_capacity(7), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}
