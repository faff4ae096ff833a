//! `docs/openapi.json` against the server, the schemas of the records, and real requests and answers.

use std::collections::BTreeSet;

use jsonschema::Validator;
use patchline_ingest::gateway;
use patchline_schemas::codec::Kind;
use serde_json::{Value, json};

use crate::stack::{Answer, JSON, Stack, shared_kafka};
use crate::ways_in::{LOGS, as_text, signed, with_workspace};

const RECORDS: [(&str, Kind); 6] = [
    ("Scan", Kind::Scan),
    ("RunProgress", Kind::RunProgress),
    ("Heartbeat", Kind::Heartbeat),
    ("Event", Kind::Event),
    ("OfficeActivity", Kind::OfficeActivity),
    ("UpdateDeployment", Kind::UpdateDeployment),
];

/// Where each of them is posted natively.
const PATHS: [(&str, &str); 6] = [
    ("Scan", "/v1/scans"),
    ("RunProgress", "/v1/run-progress"),
    ("Heartbeat", "/v1/heartbeats"),
    ("Event", "/v1/events"),
    ("OfficeActivity", "/v1/office-activity"),
    ("UpdateDeployment", "/v1/update-deployments"),
];

fn document() -> Value {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
    serde_json::from_str(text).unwrap()
}

/// A validator of `schema`, a part of the document that may point to others.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    jsonschema::draft202012::new(&whole).unwrap()
}

fn wrong(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn every_path_is_in_the_document_and_the_reverse() {
    let document = document();
    let documented: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(documented, gateway::paths().collect());
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert_eq!(methods.as_object().unwrap().keys().collect::<Vec<_>>(), ["post"], "{path}");
    }
}

#[test]
fn every_field_of_a_record_is_in_the_document_and_the_reverse() {
    let document = document();
    let names = |record: &Value| -> BTreeSet<String> {
        let fields = record["fields"].as_array().unwrap();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    let documented = |name: &str| -> BTreeSet<String> {
        let properties = &document["components"]["schemas"][name]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    };
    for (name, kind) in RECORDS {
        let schema: Value = serde_json::from_str(kind.versions().last().unwrap()).unwrap();
        if kind == Kind::OfficeActivity {
            // It has the API's own names as well.
            assert!(names(&schema).is_subset(&documented(name)));
            continue;
        }
        assert_eq!(documented(name), names(&schema), "{name}");
        if kind == Kind::Scan {
            let fields = schema["fields"].as_array().unwrap();
            let updates = fields.iter().find(|field| field["name"] == "Updates").unwrap();
            assert_eq!(documented("Update"), names(&updates["type"]["items"]));
        }
    }
}

/// A gateway, and the document's opinion on what it answers.
struct Held {
    stack: Stack,
    document: Value,
}

impl Held {
    async fn start(name: &str) -> Self {
        let stack = Stack::start(name, &shared_kafka(), &with_workspace("")).await;
        Self { stack, document: document() }
    }

    /// Posts `body` and holds the answer against what the document says of it.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let uri = if path == "/api/logs" { LOGS } else { path };
        let answer = self.stack.post(uri, headers, body.to_owned()).await;
        let status = answer.status.as_u16().to_string();
        let documented = &self.document["paths"][path]["post"]["responses"][&status];
        assert!(documented.is_object(), "{path}: {status} is not documented: {answer:?}");
        match documented["content"].as_object() {
            None => assert!(answer.body.is_empty(), "{path} {status}: {answer:?}"),
            Some(content) => {
                let content_type = answer.header("content-type");
                let schema = &content[content_type]["schema"];
                let wrong = wrong(&validator(&self.document, schema), &answer.json());
                assert!(wrong.is_empty(), "{path} {status}: {wrong:?} in {answer:?}");
            }
        }
        for header in documented["headers"].as_object().into_iter().flatten() {
            assert!(!answer.header(header.0).is_empty(), "{path} {status}: no {}", header.0);
        }
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_what_the_document_says_and_is_taken() {
    let held = Held::start("examples").await;
    for path in gateway::paths() {
        let content = &held.document["paths"][path]["post"]["requestBody"]["content"];
        for (content_type, body) in content.as_object().unwrap() {
            let schema = validator(&held.document, &body["schema"]);
            for (name, example) in body["examples"].as_object().unwrap() {
                let value = &example["value"];
                assert_eq!(wrong(&schema, value), Vec::<String>::new(), "{path} {name}");
                let text = match value {
                    Value::String(text) => text.clone(),
                    json => json.to_string(),
                };
                let mut headers = vec![("content-type".to_owned(), content_type.clone())];
                if path == "/api/logs" {
                    headers.clear();
                    let signed = signed(text.len());
                    headers
                        .extend(signed.into_iter().map(|(name, value)| (name.to_owned(), value)));
                    headers.push(("log-type".to_owned(), "Tape".to_owned()));
                }
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                let answer = held.post(path, &headers, &text).await;
                assert_eq!(answer.status, 200, "{path} {name}: {answer:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_what_the_document_says() {
    let held = Held::start("refused").await;
    for path in gateway::paths().filter(|path| *path != "/api/logs") {
        for (headers, body, status) in [
            (&[JSON][..], "{", 400),
            (&[JSON, ("content-encoding", "br")], "{}", 415),
            (&[JSON, ("content-encoding", "gzip")], "{}", 400),
        ] {
            assert_eq!(held.post(path, headers, body).await.status, status, "{path} {body}");
        }
    }
    for agent in ["PostJsonDataItems", "PostDataItems"] {
        let body = match agent {
            "PostDataItems" => "<DataItems DataType=\"A\"/>",
            _ => r#"{"DataType": "A", "DataItems": []}"#,
        };
        let path = format!("/OperationalData.svc/{agent}");
        assert_eq!(held.post(&path, &[], body).await.status, 422);
    }
    let headers = signed(2);
    let headers = as_text(&headers);
    for (headers, body, status, error) in [
        (&headers[..], "{}", 400, "MissingLogType"),
        (&headers[..2], "{}", 403, "InvalidAuthorization"),
        (&[&headers[..], &[("log-type", "Tape")]].concat(), "{]", 400, "InvalidDataFormat"),
    ] {
        let answer = held.post("/api/logs", headers, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["Error"]), (status, &json!(error)));
    }
}

/// Each field of each example in turn is left out, and made what no field is: the document and the server
/// must agree.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_the_server_agree_on_each_field() {
    let held = Held::start("fields").await;
    let mut refused = 0;
    for (name, path) in PATHS {
        let schema = validator(&held.document, &held.document["components"]["schemas"][name]);
        let content = &held.document["paths"][path]["post"]["requestBody"]["content"];
        let example = &content["application/json"]["examples"]["one"]["value"];
        let properties = &held.document["components"]["schemas"][name]["properties"];
        let mut variants = vec![("as it is".to_owned(), example.clone())];
        for field in example.as_object().unwrap().keys() {
            let mut without = example.clone();
            without.as_object_mut().unwrap().remove(field);
            variants.push((format!("without {field}"), without));
        }
        for field in properties.as_object().unwrap().keys() {
            for odd in [json!({"odd": 1}), json!([{"odd": 1}])] {
                let mut changed = example.clone();
                changed[field] = odd;
                variants.push((format!("with an odd {field}"), changed));
            }
        }
        let mut unknown = example.clone();
        unknown["Unheard"] = json!(1);
        variants.push(("with a field more".to_owned(), unknown));
        for (what, variant) in variants {
            let answer = held.post(path, &[JSON], &variant.to_string()).await;
            let wrong = wrong(&schema, &variant);
            assert_eq!(
                answer.status == 200,
                wrong.is_empty(),
                "{name} {what}: the server says {answer:?}, the document {wrong:?}"
            );
            refused += usize::from(answer.status != 200);
        }
    }
    assert!(refused > 100, "{refused}");
}
