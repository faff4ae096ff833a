//! The broker: it answers, and what it acknowledged survives its death.

use std::time::{Duration, Instant};

use patchline_local::{Kafka, KafkaOptions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::{Scratch, left_out};

const TOPIC: &str = "survivors";
const PATIENCE: Duration = Duration::from_secs(20);

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config
}

async fn produce(kafka: &Kafka, payload: &str) {
    let producer: FutureProducer = client(kafka).set("acks", "all").create().unwrap();
    producer.send(FutureRecord::<(), str>::to(TOPIC).payload(payload), PATIENCE).await.unwrap();
}

fn consume_first(kafka: &Kafka, group: &str) -> String {
    let consumer: BaseConsumer =
        client(kafka).set("group.id", group).set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    // A poll may end early, with nothing, when it only moved the group along.
    let deadline = Instant::now() + PATIENCE;
    let message = loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => break message.unwrap(),
            None => assert!(Instant::now() < deadline, "no message in {PATIENCE:?}"),
        }
    };
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_acknowledged_message_survives_kill_and_clean_stop() {
    if left_out("KAFKA_BOOTSTRAP") {
        return;
    }
    let scratch = Scratch::new("kafka");
    let mut kafka = Kafka::start(&scratch.0, KafkaOptions::default()).unwrap();
    let bootstrap = kafka.bootstrap();

    let admin: AdminClient<DefaultClientContext> = client(&kafka).create().unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    for created in admin.create_topics([&topic], &AdminOptions::new()).await.unwrap() {
        created.unwrap();
    }
    produce(&kafka, "still here").await;
    assert_eq!(consume_first(&kafka, "before"), "still here");

    kafka.kill().unwrap();
    assert_eq!(kafka.pid(), None);
    kafka.restart().unwrap();
    assert_eq!(kafka.bootstrap(), bootstrap, "a restart keeps the address");
    assert_eq!(consume_first(&kafka, "after-kill"), "still here");

    kafka.restart().unwrap();
    assert_eq!(consume_first(&kafka, "after-stop"), "still here");
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    if left_out("KAFKA_BOOTSTRAP") {
        return;
    }
    let scratch = Scratch::new("kafka-broken");
    let properties = vec![("num.network.threads".to_owned(), "none".to_owned())];
    let options = KafkaOptions { properties, ..KafkaOptions::default() };
    let error = Kafka::start(&scratch.0, options).unwrap_err().to_string();
    assert!(error.contains("num.network.threads"), "{error}");
}
