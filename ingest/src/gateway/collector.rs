//! The HTTP Data Collector API: `POST /api/logs?api-version=2016-04-01`.
//!
//! A post is judged by its headers first; only what a workspace's key has signed is read. The body is one
//! JSON object or an array of them, not compressed. `Log-Type` says what they are:
//!
//! | `Log-Type` | becomes |
//! |---|---|
//! | `Heartbeat`, `Event`, `UpdateRunProgress` | that record; fields are those of its table |
//! | `OfficeActivity` | that record, as on the native wire |
//! | `Update` | scans: each item a computer's whole snapshot, as on the native wire |
//! | `UpdateSummary` | refused: it is worked out from scans |
//! | anything else | records of a custom log, kept as they are |
//!
//! A text longer than 32 KB is cut there, as the original does, and counted; lists and objects have no
//! such bound. A record's time is in the field that `time-generated-field` names, else it is the post's
//! `x-ms-date`. A record with a time of its own is known by its bytes, so that a resend is the same
//! record. One without has only its post: its id follows from its bytes, its place and the date, so that
//! the same request sent again is the same record and an equal line of another minute is not.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderName, header, request};
use patchline_schemas::codec::Kind;
use patchline_schemas::validate::LOG_TYPE_CHARS_MAX;
use patchline_schemas::{CustomLog, Event, Heartbeat, RunProgress, Timestamp};
use serde::Deserialize;

use super::bag::{Bag, Rules, Value};
use super::linux_agent::computer_id;
use super::native::{self, check_small};
use super::problem::{Code, Problem, Reason};
use super::report::{Batch, Incoming};
use super::workspace::{Workspace, Workspaces, text};
use super::{json, office};

pub(super) const PATH: &str = "/api/logs";

const API_VERSION: &str = "2016-04-01";
const LOG_TYPE: HeaderName = HeaderName::from_static("log-type");
const TIME_FIELD: HeaderName = HeaderName::from_static("time-generated-field");
const RESOURCE_ID: HeaderName = HeaderName::from_static("x-ms-azureresourceid");

/// Bytes of a text, by the API's own limits.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// Columns that the tables add by themselves; a record that was exported from one has them.
const DERIVED: [&str; 13] = [
    "Type",
    "TenantId",
    "MG",
    "RawData",
    "Resource",
    "ResourceGroup",
    "ResourceProvider",
    "ResourceType",
    "SubscriptionId",
    "_ResourceId",
    "_SubscriptionId",
    "_BilledSize",
    "_IsBillable",
];

/// A post that a workspace has signed, without its body.
pub(super) struct Post<'r> {
    pub(super) workspace: &'r Workspace,
    pub(super) resource_id: &'r str,
    log_type: &'r str,
    time_field: &'r str,
    /// When it was signed, as its sender wrote it and as a time.
    date: &'r str,
    signed_at: Timestamp,
}

impl<'r> Post<'r> {
    /// Judges a request by its headers.
    pub(super) fn read(
        parts: &'r request::Parts,
        workspaces: &'r Workspaces,
        bytes_max: usize,
        now: SystemTime,
    ) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let query = parts.uri.query().unwrap_or_default();
        let version = form_urlencoded::parse(query.as_bytes())
            .find_map(|(name, value)| (name == "api-version").then_some(value));
        match version.as_deref() {
            Some(API_VERSION) => {}
            None => {
                return Err(bad(Code::MissingApiVersion, "there is no api-version in the query"));
            }
            Some(_) => {
                let problem = format!("api-version is not {API_VERSION}");
                return Err(bad(Code::InvalidApiVersion, problem));
            }
        }
        let length: u64 = text(headers, &header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| {
                let problem = "there is no Content-Length, which is part of what is signed";
                Problem::new(Reason::Forbidden, problem)
            })?;
        let (workspace, signed_at) = workspaces.authenticate(headers, length, now)?;
        let log_type = log_type(headers)?;
        check_type(headers)?;
        if length > bytes_max as u64 {
            let problem = format!("the post has {length} bytes, at most {bytes_max} are allowed");
            return Err(Problem::new(Reason::TooLarge, problem));
        }
        let since = signed_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            workspace,
            resource_id: text(headers, &RESOURCE_ID).unwrap_or_default(),
            log_type,
            time_field: text(headers, &TIME_FIELD).unwrap_or_default().trim(),
            date: text(headers, &HeaderName::from_static("x-ms-date")).unwrap_or_default(),
            signed_at: Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        })
    }

    /// What its items are.
    pub(super) fn kind(&self) -> Kind {
        match self.log_type {
            "Update" => Kind::Scan,
            "UpdateRunProgress" => Kind::RunProgress,
            "Heartbeat" => Kind::Heartbeat,
            "Event" => Kind::Event,
            "OfficeActivity" => Kind::OfficeActivity,
            _ => Kind::CustomLog,
        }
    }

    /// Reads the records of `body` into `batch`.
    pub(super) fn decode<'a, 'g: 'a>(
        &self,
        body: &'a str,
        batch: &mut Batch<'g>,
    ) -> Result<(), Problem>
    where
        'r: 'a,
    {
        let body = json::trim(body);
        if body.starts_with('[') {
            json::each_item(body, |index, raw| {
                self.one(index, raw, batch).map_err(|problem| problem.in_item(index))
            })
        } else {
            self.one(0, body, batch)
        }
    }

    fn one<'a, 'g: 'a>(
        &self,
        index: usize,
        raw: &'a str,
        batch: &mut Batch<'g>,
    ) -> Result<(), Problem>
    where
        'r: 'a,
    {
        let kind = self.kind();
        match kind {
            Kind::Scan => {
                if !matches!(self.time_field, "" | "TimeGenerated") {
                    let problem = "time-generated-field: a scan's time is TimeGenerated";
                    return Err(Problem::new(Reason::Invalid, problem));
                }
                return native::scan(raw, batch);
            }
            Kind::CustomLog => return self.custom(index, raw, batch),
            _ => check_small(raw)?,
        }
        let mut bag = Bag::from_json(raw)?;
        batch.encoded.cut_texts += cut(&mut bag)?;
        let renamed = !self.time_field.is_empty() && bag.rename(self.time_field, "TimeGenerated");
        if kind != Kind::OfficeActivity {
            identify(&mut bag, kind);
        }
        let added = match kind {
            Kind::RunProgress => strict::<RunProgress<'a>>(bag)
                .and_then(|record| batch.add(self.log_type, raw, record)),
            Kind::Heartbeat => strict::<Heartbeat<'a>>(bag)
                .and_then(|record| batch.add(self.log_type, raw, record)),
            Kind::Event => {
                strict::<Event<'a>>(bag).and_then(|record| batch.add(self.log_type, raw, record))
            }
            _ => office::record(bag).and_then(|record| batch.add(self.log_type, raw, record)),
        };
        added.map_err(|problem| {
            let names = [(self.time_field, "TimeGenerated")];
            if renamed { problem.in_sent_terms(&names) } else { problem }
        })
    }

    /// A record of a custom log, kept as it is but for texts that are too long.
    fn custom<'a, 'g: 'a>(
        &self,
        index: usize,
        raw: &'a str,
        batch: &mut Batch<'g>,
    ) -> Result<(), Problem>
    where
        'r: 'a,
    {
        let mut bag = Bag::from_json(raw)?;
        let mut names = HashSet::new();
        for (name, _) in &bag.fields {
            if !names.insert(&**name) {
                let problem = format!("{name}: is there twice");
                return Err(Problem::new(Reason::Malformed, problem).in_field(&**name));
            }
        }
        let own_time = match bag.get(self.time_field) {
            Some(value) if !self.time_field.is_empty() && !value.is_empty() => {
                let wrong = |problem: String| {
                    let problem = format!("{}: {problem}", self.time_field);
                    Problem::new(Reason::Invalid, problem).in_field(self.time_field)
                };
                let text = value.text().map_err(|fault| wrong(fault.to_string()))?;
                Some(Timestamp::parse(&text).map_err(wrong)?)
            }
            _ => None,
        };
        let cut = cut(&mut bag)?;
        batch.encoded.cut_texts += cut;
        let record = if cut == 0 {
            Cow::Borrowed(raw)
        } else {
            let fields: Vec<String> = bag
                .fields
                .iter()
                .map(|(name, value)| {
                    format!("{}:{}", serde_json::Value::from(&**name), value.json())
                })
                .collect();
            Cow::Owned(format!("{{{}}}", fields.join(",")))
        };
        let log = CustomLog {
            time_generated: own_time.unwrap_or(self.signed_at),
            log_type: Cow::Borrowed(self.log_type),
            record,
            ..CustomLog::default()
        };
        match own_time {
            Some(_) => batch.add(self.log_type, raw, log),
            None => {
                let name = format!("{}\n{}\n{index}", self.log_type, self.date);
                batch.add(&name, raw, log)
            }
        }
    }
}

/// Fills in what a computer's record needs and a row of its table need not have: the computer's id, by its
/// name; and what an event's computer runs, by its being an event of the Windows log.
fn identify(bag: &mut Bag<'_>, kind: Kind) {
    let missing = |bag: &Bag<'_>, name| bag.get(name).is_none_or(Value::is_empty);
    let set = |bag: &mut Bag<'_>, name: &'static str, text: String| {
        bag.fields.retain(|(known, _)| known != name);
        bag.fields.push((Cow::Borrowed(name), Value::Text(Cow::Owned(text))));
    };
    if missing(bag, "SourceComputerId") {
        let name = bag.get("Computer").map(Value::text).transpose().unwrap_or_default();
        let id = computer_id([], None, &name.unwrap_or_default()).into_owned();
        set(bag, "SourceComputerId", id);
    }
    if kind == Kind::Event && missing(bag, "OSType") {
        set(bag, "OSType", "Windows".to_owned());
    }
}

/// A record without fields that it does not have: a misspelt one would be lost in silence.
fn strict<'a, R: Incoming<'a> + Deserialize<'a>>(bag: Bag<'a>) -> Result<R, Problem> {
    let (record, unknown) = bag.record::<R>(Rules::default())?;
    match unknown.into_iter().find(|(name, _)| !DERIVED.contains(&&**name)) {
        None => Ok(record),
        Some((name, _)) => {
            let problem = format!("there is no field `{name}`");
            Err(Problem::new(Reason::Malformed, problem).in_field(name))
        }
    }
}

/// Cuts texts that are too long, and says how many.
fn cut(bag: &mut Bag<'_>) -> Result<usize, Problem> {
    let mut cut = 0;
    for (name, value) in &mut bag.fields {
        let Value::Json(json) = value else { continue };
        // With its quotes, and escapes only make it longer.
        if json.len() <= TEXT_BYTES_MAX || !json.starts_with('"') {
            continue;
        }
        let text = value.text().map_err(|fault| {
            Problem::new(Reason::Malformed, fault.to_string()).in_field(&**name)
        })?;
        if text.len() > TEXT_BYTES_MAX {
            let mut text = text.into_owned();
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            *value = Value::Text(Cow::Owned(text));
            cut += 1;
        }
    }
    Ok(cut)
}

fn log_type(headers: &HeaderMap) -> Result<&str, Problem> {
    let name = text(headers, &LOG_TYPE).unwrap_or_default();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() {
        return Err(bad(Code::MissingLogType, "there is no Log-Type"));
    }
    if name.len() > LOG_TYPE_CHARS_MAX || !name.bytes().all(word) {
        let problem = format!(
            "Log-Type has other than letters, digits and _, or more than {LOG_TYPE_CHARS_MAX}"
        );
        return Err(bad(Code::InvalidLogType, problem));
    }
    if name == "UpdateSummary" {
        let problem = "UpdateSummary is worked out from scans; send those, as Update";
        return Err(bad(Code::InvalidLogType, problem));
    }
    Ok(name)
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(header::CONTENT_TYPE) {
        return Err(bad(Code::MissingContentType, "there is no Content-Type"));
    }
    native::check_type(headers)
        .map_err(|problem| bad(Code::UnsupportedContentType, problem.detail))?;
    match text(headers, &header::CONTENT_ENCODING) {
        None if !headers.contains_key(header::CONTENT_ENCODING) => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(()),
        _ => Err(bad(
            Code::UnsupportedContentType,
            "Content-Encoding: the body is taken as it is, not compressed",
        )),
    }
}

fn bad(code: Code, detail: impl Into<String>) -> Problem {
    Problem::new(Reason::Invalid, detail).coded(code)
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::{HeaderValue, Request};
    use patchline_schemas::{Codec, OfficeActivity, Scan};
    use serde_json::json;
    use uuid::Uuid;

    use super::super::Wire;
    use super::super::config::WorkspaceConfig;
    use super::super::report::{Encoded, Origin};
    use super::super::tests::{SENDER, decode_as, only};
    use super::super::workspace::{Key, sign};
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const ID: Uuid = Uuid::from_u128(0x6f1f_3b1c_7c5e_4a57_8a43_0d2a_3c1f_9e10);
    const DAY: &str = "Thu, 01 Jun 2017 12:00:00 GMT";

    pub(in super::super) fn workspaces() -> Workspaces {
        let config = WorkspaceConfig {
            primary_key: Some(Key::from_base64(KEY).unwrap()),
            posts_in_flight_max: 1,
            ..WorkspaceConfig::of(ID)
        };
        Workspaces::new([("main", &config)], 900).unwrap()
    }

    /// A signed request for `body`, with `headers` in place of its own.
    pub(in super::super) fn parts(
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> request::Parts {
        let signature = sign(KEY, body.len() as u64, "application/json", DAY);
        let mut request = Request::post(uri)
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .header("x-ms-date", DAY)
            .header("authorization", format!("SharedKey {ID}:{signature}"))
            .body(())
            .unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().remove(&name);
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                request.headers_mut().insert(name, value);
            }
        }
        request.into_parts().0
    }

    pub(in super::super) const URI: &str = "/api/logs?api-version=2016-04-01";

    pub(in super::super) fn take(
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(Kind, Encoded), Problem> {
        let (workspaces, parts) = (workspaces(), parts(uri, headers, body));
        let now = httpdate::parse_http_date(DAY).unwrap();
        let post = Post::read(&parts, &workspaces, 30 * 1024 * 1024, now)
            .map_err(|problem| problem.clone().coded(problem.reason.into()))?;
        let id = post.workspace.id.to_string();
        let group = format!("AOI-{id}");
        let origin = Origin {
            workspace_id: &id,
            management_group: &group,
            resource_id: post.resource_id,
            ..SENDER
        };
        decode_as(Wire::Collector, Some(&post), body, origin)
            .map_err(|problem| problem.clone().coded(problem.reason.into()))
    }

    fn logs(log_type: &str, body: &str) -> Result<(Kind, Encoded), Problem> {
        take(URI, &[("log-type", log_type)], body)
    }

    #[test]
    fn each_refusal_has_the_code_that_the_api_documents() {
        let typed = ("log-type", "Tape");
        let code = |uri: &str, headers: &[(&str, &str)], body: &str| {
            let problem = take(uri, headers, body).unwrap_err();
            (problem.reason.status().as_u16(), problem.code.unwrap())
        };
        let of = |headers: &[(&str, &str)]| code(URI, headers, "{}");
        assert_eq!(code("/api/logs", &[typed], "{}"), (400, Code::MissingApiVersion));
        assert_eq!(
            code("/api/logs?api-version=2017", &[typed], "{}"),
            (400, Code::InvalidApiVersion)
        );
        assert_eq!(of(&[]), (400, Code::MissingLogType));
        for name in ["a-b", "ä", &"x".repeat(101), "UpdateSummary", "a b"] {
            assert_eq!(of(&[("log-type", name)]).0, 400, "{name}");
        }
        assert_eq!(of(&[("log-type", "a-b")]), (400, Code::InvalidLogType));
        assert_eq!(of(&[typed, ("content-type", "")]), (400, Code::MissingContentType));
        assert_eq!(of(&[typed, ("content-type", "text/csv")]), (400, Code::UnsupportedContentType));
        assert_eq!(of(&[typed, ("content-encoding", "gzip")]), (400, Code::UnsupportedContentType));
        assert_eq!(of(&[typed, ("content-length", "")]), (403, Code::InvalidAuthorization));
        assert_eq!(of(&[typed, ("authorization", "")]), (403, Code::InvalidAuthorization));
        assert_eq!(of(&[typed, ("authorization", "Basic x")]), (403, Code::InvalidAuthorization));
        assert_eq!(
            of(&[typed, ("authorization", "SharedKey a:b")]),
            (400, Code::InvalidCustomerId)
        );
        for body in ["", "[1]", "7", "{\"a\":1,\"a\":2}", "[{}", "[{},]"] {
            assert_eq!(code(URI, &[typed], body), (400, Code::InvalidDataFormat), "{body}");
        }
        assert!(logs(&"x".repeat(100), "{}").is_ok());
    }

    #[test]
    fn a_post_that_is_too_long_is_refused_before_it_is_read() {
        let (workspaces, parts) = (workspaces(), parts(URI, &[("log-type", "Tape")], "{\"a\":1}"));
        let now = httpdate::parse_http_date(DAY).unwrap();
        let read = |bytes_max| Post::read(&parts, &workspaces, bytes_max, now).map(|_| ());
        assert_eq!(read(6).unwrap_err().reason, Reason::TooLarge);
        assert_eq!(read(7), Ok(()));
    }

    #[test]
    fn a_custom_record_is_kept_as_it_is() {
        let record = r#"{"slot" : 7, "deep": {"a": [1, null]}, "seen": "2017-05-31T08:00:00Z"}"#;
        let headers = [
            ("log-type", "Tape_Drive"),
            ("time-generated-field", "seen"),
            ("x-ms-azureresourceid", "/subscriptions/1"),
        ];
        let (kind, encoded) = take(URI, &headers, record).unwrap();
        assert_eq!(kind, Kind::CustomLog);
        let codec = Codec::new().unwrap();
        let log: CustomLog<'_> = only(&encoded, &codec);
        assert_eq!((&*log.record, &*log.log_type), (record, "Tape_Drive"));
        assert_eq!((&*log.workspace_id, &*log.resource_id), (&*ID.to_string(), "/subscriptions/1"));
        assert_eq!(log.time_generated.to_string(), "2017-05-31T08:00:00.000Z");
        assert_eq!(encoded.messages[0].key, ID.to_string());

        let wrong = take(URI, &headers, r#"[{}, {"seen": "yesterday"}]"#).unwrap_err();
        assert_eq!((wrong.item, wrong.field.as_deref()), (Some(1), Some("seen")));
    }

    #[test]
    fn a_record_without_a_time_is_told_apart_by_its_post() {
        let body = r#"[{"a": 1}, {"a": 1}]"#;
        let (_, first) = logs("Tape", body).unwrap();
        assert_eq!(first.report_ids.len(), 2);
        assert_ne!(first.report_ids[0], first.report_ids[1], "two lines, equal by chance");
        assert_eq!(first.messages, logs("Tape", body).unwrap().1.messages, "the same post again");
        let codec = Codec::new().unwrap();
        let log: CustomLog<'_> = codec.decode(&first.messages[0].payload).unwrap();
        assert_eq!(log.time_generated.to_string(), "2017-06-01T12:00:00.000Z", "the post's own");

        let later = "Thu, 01 Jun 2017 12:01:00 GMT";
        let signature = sign(KEY, body.len() as u64, "application/json", later);
        let signed = format!("SharedKey {ID}:{signature}");
        let headers = [("log-type", "Tape"), ("x-ms-date", later), ("authorization", &*signed)];
        let (_, next) = take(URI, &headers, body).unwrap();
        assert!(next.report_ids.iter().all(|id| !first.report_ids.contains(id)), "another post");
    }

    #[test]
    fn a_record_with_a_time_is_known_by_its_bytes() {
        let post = |date: &str| {
            let body = r#"{"at": "2017-06-01T11:00:00Z"}"#;
            let signature = sign(KEY, body.len() as u64, "application/json", date);
            let signed = format!("SharedKey {ID}:{signature}");
            let headers = [
                ("log-type", "Tape"),
                ("time-generated-field", "at"),
                ("x-ms-date", date),
                ("authorization", &*signed),
            ];
            take(URI, &headers, body).unwrap().1.messages
        };
        assert_eq!(post(DAY), post("Thu, 01 Jun 2017 12:01:00 GMT"));
    }

    #[test]
    fn a_long_text_is_cut_between_letters_and_a_long_list_is_not() {
        let text = "é".repeat(TEXT_BYTES_MAX);
        let list = vec![0; TEXT_BYTES_MAX];
        let body = json!({"a": text, "b": "\"", "c": list}).to_string();
        let (_, encoded) = logs("Tape", &body).unwrap();
        assert_eq!(encoded.cut_texts, 1);
        let codec = Codec::new().unwrap();
        let log: CustomLog<'_> = only(&encoded, &codec);
        let kept: serde_json::Value = serde_json::from_str(&log.record).unwrap();
        assert_eq!(kept, json!({"a": "é".repeat(TEXT_BYTES_MAX / 2), "b": "\"", "c": list}));
        let whole = json!({"a": "x".repeat(TEXT_BYTES_MAX)}).to_string();
        assert_eq!(logs("Tape", &whole).unwrap().1.cut_texts, 0);
    }

    #[test]
    fn a_known_log_becomes_its_own_record() {
        let codec = Codec::new().unwrap();
        let row = r#"{"Computer": "win-1", "EventLog": "System", "EventID": "7036", "Type": "Event",
            "at": "2017-06-01T11:00:00Z", "_ResourceId": "x"}"#;
        let headers = [("log-type", "Event"), ("time-generated-field", "at")];
        let (kind, encoded) = take(URI, &headers, row).unwrap();
        assert_eq!(kind, Kind::Event);
        let event: Event<'_> = only(&encoded, &codec);
        assert_eq!((event.event_id, &*event.os_type), (7036, "Windows"));
        assert_eq!(event.management_group_name, format!("AOI-{ID}"));
        assert_eq!(event.time_generated.to_string(), "2017-06-01T11:00:00.000Z");
        assert_eq!(event.source_computer_id, computer_id([], None, "win-1"));

        let heartbeat = json!({"Computer": "web-1", "SourceComputerId": "id-1", "OSType": "Linux",
            "TimeGenerated": "2017-06-01T11:00:00Z", "RemoteIPCountry": "Germany"});
        let (_, encoded) = logs("Heartbeat", &heartbeat.to_string()).unwrap();
        let heartbeat: Heartbeat<'_> = only(&encoded, &codec);
        assert_eq!((&*heartbeat.source_computer_id, &*heartbeat.source_system), ("id-1", "Linux"));

        let office =
            json!({"CreationTime": "2017-06-01T11:00:00", "OrganizationId": "t", "Operation": "x"});
        let (_, encoded) = logs("OfficeActivity", &office.to_string()).unwrap();
        let office: OfficeActivity<'_> = only(&encoded, &codec);
        assert_eq!(office.tenant_id, ID.to_string());

        let scan = json!({"SourceComputerId": "id-1", "Computer": "web-1", "OSType": "Linux",
            "TimeGenerated": "2017-06-01T11:00:00Z", "Updates": [{"Product": "bash"}]});
        let (kind, encoded) = logs("Update", &scan.to_string()).unwrap();
        assert_eq!((kind, encoded.updates), (Kind::Scan, 1));
        let scan: Scan<'_> = only(&encoded, &codec);
        assert_eq!(scan.updates[0].product, "bash");

        let late =
            take(URI, &headers, r#"{"Computer": "a", "EventLog": "b", "at": "soon"}"#).unwrap_err();
        assert_eq!(late.field.as_deref(), Some("at"), "as its sender calls it");
        let misspelt = json!({"Computer": "a", "OSType": "Linux", "Versoin": 1,
            "TimeGenerated": "2017-06-01T11:00:00Z"});
        let problem = logs("Heartbeat", &misspelt.to_string()).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("Versoin"));
        let row = json!({"Computer": "a", "OSType": "Linux", "Product": "bash"});
        assert!(logs("Update", &row.to_string()).is_err(), "a row is no snapshot");
    }

    #[test]
    fn what_is_deep_or_wide_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert!(logs("Tape", &deep).unwrap_err().detail.contains("nested"));
        let wide: Vec<String> = (0..501).map(|at| format!("\"f{at}\":0")).collect();
        assert!(
            logs("Tape", &format!("{{{}}}", wide.join(","))).unwrap_err().detail.contains("fields")
        );
    }
}
