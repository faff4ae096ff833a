//! A topic's id, which tells it from an earlier one of the same name.
//!
//! Kafka counts offsets of a topic that is deleted and made anew from zero again: by name and offset alone,
//! what was known of the former one would pass for a part of the new one. `rdkafka` has no call for it.

use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

/// What a broker that gives no ids says.
const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The id of `topic`, empty where brokers give none.
pub(super) fn topic_id(
    consumer: &BaseConsumer,
    topic: &str,
    timeout: Duration,
) -> Result<String, KafkaError> {
    let refused = |code: RDKafkaErrorCode| KafkaError::MetadataFetch(code);
    let name = CString::new(topic).map_err(KafkaError::Nul)?;
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let client = consumer.client().native_ptr();
    let mut names = [name.as_ptr()];
    let mut problem = [0; 512];
    // SAFETY: the client outlives this call, `names` and `problem` the calls that are given them. What is
    // made here is freed here, once, and last what the others belong to; the event, which may be null,
    // after the result that is read from it.
    unsafe {
        let options = native::rd_kafka_AdminOptions_new(
            client,
            native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        native::rd_kafka_AdminOptions_set_request_timeout(
            options,
            timeout_ms,
            problem.as_mut_ptr(),
            problem.len(),
        );
        let topics =
            native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let queue = native::rd_kafka_queue_new(client);
        native::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = native::rd_kafka_queue_poll(queue, timeout_ms);
        let id = described(event).map_err(refused);
        if !event.is_null() {
            native::rd_kafka_event_destroy(event);
        }
        native::rd_kafka_queue_destroy(queue);
        native::rd_kafka_TopicCollection_destroy(topics);
        native::rd_kafka_AdminOptions_destroy(options);
        id
    }
}

/// The id in what was answered.
///
/// # Safety
/// `event` is null or an event that nobody has freed.
unsafe fn described(event: *mut native::rd_kafka_event_t) -> Result<String, RDKafkaErrorCode> {
    const SUCCESS: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    if event.is_null() {
        return Err(RDKafkaErrorCode::OperationTimedOut);
    }
    // SAFETY: all pointers are into the event, which lives on; each is checked for null.
    unsafe {
        let code = native::rd_kafka_event_error(event);
        if code != SUCCESS {
            return Err(code.into());
        }
        let result = native::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(RDKafkaErrorCode::BadMessage);
        }
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count == 0 || (*topics).is_null() {
            return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
        }
        let error = native::rd_kafka_TopicDescription_error(*topics);
        let code = if error.is_null() { SUCCESS } else { native::rd_kafka_error_code(error) };
        if code != SUCCESS {
            return Err(code.into());
        }
        let id = native::rd_kafka_TopicDescription_topic_id(*topics);
        let text =
            if id.is_null() { std::ptr::null() } else { native::rd_kafka_Uuid_base64str(id) };
        if text.is_null() {
            return Ok(String::new());
        }
        let text = CStr::from_ptr(text).to_string_lossy();
        Ok(if text == NONE { String::new() } else { text.into_owned() })
    }
}
