//! The Windows agent's wire: `POST /OperationalData.svc/PostDataItems`.
//!
//! The body is XML, `<DataItems DataType="…"><DataItem sourceHealthServiceId="…" time="…"><Property
//! Name="…">…`: property bags. Two data types are read: `HEALTH_ASSESSMENT_BLOB` (heartbeats) and
//! `GENERIC_EVENT_BLOB` (events). Windows updates come by the native wire: how agents sent them was never
//! published. Properties that the record does not have are passed over, as on the Linux agent's wire.
//!
//! The computer's id is the property `SourceComputerId`, else the item's `sourceHealthServiceId`, else what
//! the Linux wire falls back to. The time is the item's own.
//!
//! All items are checked before any is published. Nothing is expanded: there are no document types here and
//! so no entities beyond XML's own five. Depth, tags, properties and items are bounded.

use std::borrow::Cow;

use patchline_schemas::codec::Kind;
use patchline_schemas::{Event as LoggedEvent, Heartbeat};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion, escape};
use serde::Deserialize;

use super::bag::{Bag, FIELDS_MAX, Rules, Value};
use super::json::ITEMS_MAX;
use super::linux_agent::computer_id;
use super::native::check_small;
use super::problem::{Problem, Reason};
use super::report::{Batch, Incoming};

/// Elements within each other. A property that holds XML as it is, not as text, is given some room.
const DEPTH_MAX: usize = 32;

/// Bytes of one tag: attributes are compared with each other.
const TAG_BYTES_MAX: usize = 4096;

/// A heartbeat's properties that the record calls otherwise: (the wire's, the record's).
const HEARTBEAT: &[(&str, &str)] = &[("ComputerPrivateIps", "ComputerPrivateIPs")];

/// An event's, with what Operations Manager calls them.
const EVENT: &[(&str, &str)] = &[
    ("LoggingComputer", "Computer"),
    ("Channel", "EventLog"),
    ("EventSourceName", "Source"),
    ("PublisherName", "Source"),
    ("EventNumber", "EventID"),
    ("EventDisplayNumber", "EventID"),
    ("EventDescription", "RenderedDescription"),
    ("RawDescription", "Message"),
];

/// Reads the reports of `text` into `batch` and says which records they are.
pub(super) fn decode<'a, 'g: 'a>(text: &'a str, batch: &mut Batch<'g>) -> Result<Kind, Problem> {
    let mut xml = Xml::new(text);
    let (start, empty) = xml.element()?.ok_or_else(|| malformed("there is no DataItems"))?;
    expect(&start, "DataItems")?;
    let data_type = attribute(&start, "DataType")?
        .ok_or_else(|| malformed("DataItems: is without DataType").in_field("DataType"))?;
    let kind = match &*data_type {
        "HEALTH_ASSESSMENT_BLOB" => Kind::Heartbeat,
        "GENERIC_EVENT_BLOB" => Kind::Event,
        _ => {
            let problem = format!(
                "DataType `{data_type}` is none of HEALTH_ASSESSMENT_BLOB, GENERIC_EVENT_BLOB"
            );
            return Err(Problem::new(Reason::UnknownType, problem).in_field("DataType"));
        }
    };
    if !empty {
        let mut index = 0;
        while let Some(item) = xml.element().map_err(|problem| problem.in_item(index))? {
            if index == ITEMS_MAX {
                let problem = format!("more than {ITEMS_MAX} items; send fewer at once");
                return Err(Problem::new(Reason::TooLarge, problem).in_item(index));
            }
            one(&mut xml, kind, &data_type, &item, batch)
                .map_err(|problem| problem.in_item(index))?;
            index += 1;
        }
    }
    xml.end()?;
    Ok(kind)
}

/// Reads one item, whose start tag has just been read, into `batch`.
fn one<'a, 'g: 'a>(
    xml: &mut Xml<'a>,
    kind: Kind,
    data_type: &str,
    (start, empty): &(BytesStart<'a>, bool),
    batch: &mut Batch<'g>,
) -> Result<(), Problem> {
    let from = xml.started;
    expect(start, "DataItem")?;
    let mut bag = if *empty { Bag::default() } else { properties(xml)? };
    let raw = xml.text.get(from..xml.position()).unwrap_or_default();
    check_small(raw)?;
    let id = attribute(start, "sourceHealthServiceId")?.unwrap_or_default();
    if let Some(time) = attribute(start, "time")?
        && bag.get("TimeGenerated").is_none()
    {
        bag.fields.push((Cow::Borrowed("TimeGenerated"), Value::Text(time)));
    }
    match kind {
        Kind::Event => {
            let mut event: LoggedEvent<'a> = record(bag, EVENT)?;
            let ids = [event.source_computer_id, id];
            event.source_computer_id = computer_id(ids, batch.origin().agent_id, &event.computer);
            add(data_type, raw, event, batch)
        }
        _ => {
            let mut heartbeat: Heartbeat<'a> = record(bag, HEARTBEAT)?;
            let ids = [heartbeat.source_computer_id, id];
            let computer = &heartbeat.computer;
            heartbeat.source_computer_id = computer_id(ids, batch.origin().agent_id, computer);
            add(data_type, raw, heartbeat, batch)
        }
    }
}

/// The properties up to the item's end tag.
fn properties<'a>(xml: &mut Xml<'a>) -> Result<Bag<'a>, Problem> {
    let mut bag = Bag::default();
    while let Some((start, empty)) = xml.element()? {
        expect(&start, "Property")?;
        let name = attribute(&start, "Name")?
            .filter(|name| !name.is_empty())
            .ok_or_else(|| malformed("Property: is without Name"))?;
        let value = if empty { Cow::Borrowed("") } else { xml.content()? };
        if bag.fields.len() == FIELDS_MAX {
            return Err(malformed(format!("more than {FIELDS_MAX} properties")));
        }
        if bag.get(&name).is_some() {
            return Err(malformed(format!("{name}: is there twice")).in_field(name));
        }
        bag.fields.push((name, Value::Text(value)));
    }
    Ok(bag)
}

/// The record of an item's properties, as the sender calls them where one is wrong.
fn record<'a, R: Deserialize<'a>>(
    mut bag: Bag<'a>,
    names: &[(&'static str, &'static str)],
) -> Result<R, Problem> {
    let mut renamed = Vec::new();
    for &(wire, record) in names {
        if bag.rename(wire, record) {
            renamed.push((wire, record));
        }
    }
    // An agent of today says so by its wire alone.
    if bag.get("OSType").is_none_or(Value::is_empty) {
        bag.fields.retain(|(name, _)| name != "OSType");
        bag.fields.push((Cow::Borrowed("OSType"), Value::Text(Cow::Borrowed("Windows"))));
    }
    bag.record(Rules::default())
        .map(|(record, _passed_over)| record)
        .map_err(|problem| problem.in_sent_terms(&renamed))
}

fn add<'a, 'g: 'a, R: Incoming<'a>>(
    data_type: &str,
    raw: &'a str,
    report: R,
    batch: &mut Batch<'g>,
) -> Result<(), Problem> {
    batch
        .add(data_type, raw, report)
        .map_err(|problem| problem.in_sent_terms(&[("sourceHealthServiceId", "SourceComputerId")]))
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Reason::Malformed, detail)
}

fn expect(start: &BytesStart<'_>, name: &str) -> Result<(), Problem> {
    let local = start.local_name();
    if local.as_ref() == name {
        return Ok(());
    }
    Err(malformed(format!("`{:.40}` stands where {name} should", local.as_ref())))
}

/// An attribute's value.
fn attribute<'a>(start: &BytesStart<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
        if attribute.key.as_ref() == name {
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| malformed(format!("{name}: {error}")))?;
            return Ok(Some(Cow::Owned(value.into_owned())));
        }
    }
    Ok(None)
}

/// XML from strangers.
struct Xml<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// Where the last [`element`](Self::element) begins.
    started: usize,
}

impl<'a> Xml<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = false;
        Self { text, reader, depth: 0, started: 0 }
    }

    /// Bytes read.
    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn next(&mut self) -> Result<Event<'a>, Problem> {
        let event = self.reader.read_event().map_err(|error| {
            let at = self.reader.error_position();
            malformed(format!("the XML breaks off or is wrong at byte {at}: {error}"))
        })?;
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                if start.len() > TAG_BYTES_MAX {
                    return Err(malformed(format!("a tag is longer than {TAG_BYTES_MAX} bytes")));
                }
                if let Event::Start(_) = event {
                    self.depth += 1;
                }
                if self.depth > DEPTH_MAX {
                    return Err(malformed(format!("nested deeper than {DEPTH_MAX} elements")));
                }
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::DocType(_) => return Err(malformed("a document type is not taken here")),
            _ => {}
        }
        Ok(event)
    }

    /// The next element's start tag and whether that is all of it; `None`: the one around it ends.
    fn element(&mut self) -> Result<Option<(BytesStart<'a>, bool)>, Problem> {
        loop {
            self.started = self.position();
            match self.next()? {
                Event::Start(start) => return Ok(Some((start, false))),
                Event::Empty(start) => return Ok(Some((start, true))),
                Event::End(_) => return Ok(None),
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(malformed("the XML breaks off")),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(malformed("text stands where an element should"));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// What stands between a start tag just read and its end tag: text; or XML, as it was written.
    fn content(&mut self) -> Result<Cow<'a, str>, Problem> {
        let (from, outside) = (self.position(), self.depth - 1);
        let (mut text, mut nested) = (String::new(), false);
        loop {
            let until = self.position();
            match self.next()? {
                Event::Start(_) | Event::Empty(_) => nested = true,
                Event::End(_) if self.depth == outside => {
                    if nested {
                        return Ok(Cow::Borrowed(self.text.get(from..until).unwrap_or_default()));
                    }
                    return Ok(Cow::Owned(text));
                }
                Event::Eof => return Err(malformed("the XML breaks off")),
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::CData(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(part) => {
                    let name = part.xml10_content();
                    let known = part
                        .resolve_char_ref()
                        .map_err(|error| malformed(format!("`&{name:.40};`: {error}")))?;
                    match (known, escape::resolve_xml_entity(&name)) {
                        (Some(letter), _) => text.push(letter),
                        (None, Some(entity)) => text.push_str(entity),
                        (None, None) => {
                            return Err(malformed(format!("`&{name:.40};` is no entity of XML")));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Nothing but white space and comments follows.
    fn end(&mut self) -> Result<(), Problem> {
        match self.element()? {
            None if self.depth == 0 => Ok(()),
            _ => Err(malformed("something follows DataItems")),
        }
    }
}

#[cfg(test)]
mod tests {
    use patchline_schemas::Codec;

    use super::super::Wire;
    use super::super::report::Encoded;
    use super::super::tests::{decode, only};
    use super::*;

    fn body(data_type: &str, items: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- an agent -->\n<DataItems IPName=\"LogManagement\" ManagementGroupId=\"{{00000000-0000-0000-0000-000000000001}}\" DataType=\"{data_type}\">\n{items}\n</DataItems>\n"
        )
    }

    fn item(properties: &[(&str, &str)]) -> String {
        let properties: String = properties
            .iter()
            .map(|(name, value)| format!("<Property Name=\"{name}\">{value}</Property>\n"))
            .collect();
        format!(
            "<DataItem type=\"System.PropertyBagData\" time=\"2017-06-01T12:00:00.1234567Z\" sourceHealthServiceId=\"id-1\">{properties}</DataItem>"
        )
    }

    fn events(items: &str) -> Result<Encoded, Problem> {
        decode(Wire::WindowsAgent, &body("GENERIC_EVENT_BLOB", items)).map(|(_, encoded)| encoded)
    }

    const EVENT: [(&str, &str); 5] = [
        ("Computer", "win-1"),
        ("EventLog", "System"),
        ("EventID", "7036"),
        ("EventLevel", "2"),
        ("RenderedDescription", "a &lt;b&gt; &#x41;&#66; &amp; <![CDATA[<c>]]>"),
    ];

    #[test]
    fn an_event_is_read_with_what_xml_writes_otherwise() {
        let mut properties = EVENT.to_vec();
        properties.push(("EventData", "<Data a=\"1\"><Deep/>&amp;</Data> tail"));
        properties.push(("SomethingNew", "x"));
        let encoded = events(&item(&properties)).unwrap();
        let codec = Codec::new().unwrap();
        let event: LoggedEvent<'_> = only(&encoded, &codec);
        assert_eq!((&*event.source_computer_id, &*event.os_type), ("id-1", "Windows"));
        assert_eq!((event.event_id, &*event.event_level_name), (7036, "Error"));
        assert_eq!(event.rendered_description, "a <b> AB & <c>");
        assert_eq!(
            event.event_data, "<Data a=\"1\"><Deep/>&amp;</Data> tail",
            "XML is kept as it is"
        );
        assert_eq!(event.time_generated.to_string(), "2017-06-01T12:00:00.123Z");
    }

    #[test]
    fn operations_managers_names_are_understood() {
        let named = [("LoggingComputer", "win-1"), ("Channel", "System"), ("EventNumber", "7")];
        let encoded = events(&item(&named)).unwrap();
        let codec = Codec::new().unwrap();
        let event: LoggedEvent<'_> = only(&encoded, &codec);
        assert_eq!((&*event.computer, &*event.event_log, event.event_id), ("win-1", "System", 7));
        let problem = events(&item(&[("EventNumber", "many")])).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("EventNumber"), "as the sender calls it");
    }

    #[test]
    fn an_items_id_follows_its_own_bytes() {
        let (one, two) = (item(&EVENT), item(&EVENT).replace("7036", "7040"));
        let together = events(&format!("{one}\n<!-- and -->{two}")).unwrap();
        let apart = [events(&one).unwrap(), events(&two).unwrap()];
        assert_eq!(together.report_ids[0], apart[0].report_ids[0]);
        assert_eq!(together.report_ids[1], apart[1].report_ids[0]);
        assert_ne!(together.report_ids[0], together.report_ids[1]);
    }

    #[test]
    fn a_problem_names_item_and_field() {
        let good = item(&EVENT);
        let at = |bad: &str| {
            let problem = events(&format!("{good}{bad}{good}")).unwrap_err();
            (problem.item, problem.field.unwrap_or_default(), problem.reason)
        };
        let cases = [
            (good.replace("7036", "many"), "EventID", Reason::Malformed),
            (good.replace("System<", "<"), "EventLog", Reason::Invalid),
            (good.replace("2017-06-01", "yesterday"), "TimeGenerated", Reason::Malformed),
            (good.replace("win-1", ""), "Computer", Reason::Invalid),
            (good.replace("EventLevel", "EventID"), "EventID", Reason::Malformed),
            ("<Other/>".to_owned(), "", Reason::Malformed),
            ("<DataItem><Property>x</Property></DataItem>".to_owned(), "", Reason::Malformed),
            ("text".to_owned(), "", Reason::Malformed),
        ];
        for (bad, field, reason) in cases {
            assert_eq!(at(&bad), (Some(1), field.to_owned(), reason), "{bad}");
        }
        let unknown = decode(Wire::WindowsAgent, &body("SECURITY_EVENT_BLOB", "")).unwrap_err();
        assert_eq!(
            (unknown.reason, unknown.field.as_deref()),
            (Reason::UnknownType, Some("DataType"))
        );
    }

    #[test]
    fn nothing_is_expanded_and_nothing_is_deep() {
        let bomb = "<!DOCTYPE DataItems [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>";
        let text = format!("{bomb}{}", body("GENERIC_EVENT_BLOB", &item(&EVENT)));
        let problem = decode(Wire::WindowsAgent, &text).unwrap_err();
        assert!(problem.detail.contains("document type"), "{problem:?}");
        let entity = item(&EVENT).replace("win-1", "&b;");
        assert!(events(&entity).unwrap_err().detail.contains("no entity"));
        let deep = item(&[("EventData", &"<a>".repeat(1_000_000))]);
        assert!(events(&deep).unwrap_err().detail.contains("nested"));
        let attributes = "x=\"\" ".repeat(10_000);
        let wide = item(&EVENT).replace("<DataItem ", &format!("<DataItem {attributes}"));
        assert!(events(&wide).unwrap_err().detail.contains("tag is longer"));
        let many: String =
            (0..=FIELDS_MAX).map(|at| format!("<Property Name=\"p{at}\"/>")).collect();
        assert!(
            events(&format!("<DataItem>{many}</DataItem>")).unwrap_err().detail.contains("more")
        );
    }

    #[test]
    fn half_a_body_is_no_body() {
        let whole = body("GENERIC_EVENT_BLOB", &item(&EVENT));
        let end = whole.trim_end().len();
        for cut in 0..end {
            assert!(decode(Wire::WindowsAgent, &whole[..cut]).is_err(), "{}", &whole[..cut]);
        }
        assert!(decode(Wire::WindowsAgent, &whole).is_ok());
        assert!(decode(Wire::WindowsAgent, &format!("{whole}<DataItems/>")).is_err());
    }
}
