//! What a cluster says of topics: whether they are there, their ids, their partitions and leaders.
//!
//! A topic's id is the only thing that tells a topic from another of its name made later, and rdkafka 0.39 does not wrap
//! librdkafka's DescribeTopics, which gives it. So these are the project's only foreign calls; they follow
//! librdkafka's examples/describe_topics.c.

use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT, rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new,
    rd_kafka_AdminOptions_set_request_timeout, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
    rd_kafka_Node_id, rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names,
    rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_name, rd_kafka_TopicDescription_partitions,
    rd_kafka_TopicDescription_t, rd_kafka_TopicDescription_topic_id, rd_kafka_TopicPartitionInfo_leader,
    rd_kafka_TopicPartitionInfo_partition, rd_kafka_Uuid_least_significant_bits, rd_kafka_Uuid_most_significant_bits,
    rd_kafka_admin_op_t, rd_kafka_err2str, rd_kafka_error_code, rd_kafka_event_DescribeTopics_result,
    rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_type, rd_kafka_queue_destroy, rd_kafka_queue_new,
    rd_kafka_queue_poll, rd_kafka_resp_err_t,
};
use rdkafka::client::Client;

use super::Context;

/// A topic that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Zero where the broker is older than topics' ids (2.8).
    pub id: u128,
    /// Numbers and leaders' ids; none where there is no leader now.
    pub partitions: Vec<(i32, Option<i32>)>,
}

/// Of each topic: what it is, none where it is not there, or why that is not known.
pub type Answer = Vec<(String, Result<Option<Described>, String>)>;

/// Asks about topics. The error is why nobody answered.
#[expect(unsafe_code, reason = "rdkafka does not wrap these calls; see above")]
pub fn describe(client: &Client<Context>, topics: &[String], timeout: Duration) -> Result<Answer, String> {
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(topic.as_str()).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client lives as long as the borrow. librdkafka copies the names. Queue, collection, options and event
    // are freed once each, after their last use, and what the event owns is copied before the event goes.
    unsafe {
        let native = client.native_ptr();
        let collection = rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = rd_kafka_AdminOptions_new(native, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let mut message = [0 as c_char; 256];
        rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, message.as_mut_ptr(), message.len());
        let queue = rd_kafka_queue_new(native);
        rd_kafka_DescribeTopics(native, collection, options, queue);
        // The request has its own timeout; the second more is for its answer to come round.
        let event = rd_kafka_queue_poll(queue, timeout_ms.saturating_add(1000));
        let answer = if event.is_null() {
            Err("no answer in time".to_owned())
        } else {
            let outcome = match rd_kafka_event_error(event) {
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
                    if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT =>
                {
                    let mut count = 0;
                    let result = rd_kafka_event_DescribeTopics_result(event);
                    let listed = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
                    Ok(std::slice::from_raw_parts(listed, count).iter().map(|topic| read(*topic)).collect())
                }
                error => Err(text(rd_kafka_err2str(error))),
            };
            rd_kafka_event_destroy(event);
            outcome
        };
        rd_kafka_queue_destroy(queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_TopicCollection_destroy(collection);
        answer
    }
}

/// Copies a description. The pointer is librdkafka's, and valid.
#[expect(unsafe_code, reason = "reads what librdkafka answered")]
unsafe fn read(topic: *const rd_kafka_TopicDescription_t) -> (String, Result<Option<Described>, String>) {
    // SAFETY: all pointers come from librdkafka and belong to the event that the caller holds; the slice is as long as
    // librdkafka says, and not made where there is none.
    unsafe {
        let name = text(rd_kafka_TopicDescription_name(topic));
        let error = rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let outcome = match rd_kafka_error_code(error) {
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => None,
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => Some(Ok(None)),
                code => Some(Err(text(rd_kafka_err2str(code)))),
            };
            if let Some(outcome) = outcome {
                return (name, outcome);
            }
        }
        let uuid = rd_kafka_TopicDescription_topic_id(topic);
        let id = if uuid.is_null() {
            0
        } else {
            let half = |bits: i64| u128::from(bits.cast_unsigned());
            half(rd_kafka_Uuid_most_significant_bits(uuid)) << 64 | half(rd_kafka_Uuid_least_significant_bits(uuid))
        };
        let mut count = 0;
        let listed = rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        let listed = if count == 0 { &[][..] } else { std::slice::from_raw_parts(listed, count) };
        let partitions = listed.iter().map(|partition| {
            let leader = rd_kafka_TopicPartitionInfo_leader(*partition);
            let leader = if leader.is_null() { None } else { Some(rd_kafka_Node_id(leader)).filter(|id| *id >= 0) };
            (rd_kafka_TopicPartitionInfo_partition(*partition), leader)
        });
        (name, Ok(Some(Described { id, partitions: partitions.collect() })))
    }
}

/// Copies a text of librdkafka's; empty where there is none.
#[expect(unsafe_code, reason = "reads what librdkafka answered")]
unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: not null, and librdkafka's texts end in a zero.
    if pointer.is_null() { String::new() } else { unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned() }
}
