//! Values that have members. JSON and XML stay the text that they came as; a path into one is one extraction.

use super::functions;
use super::literal::{quoted, regex_quoted};
use super::types::{Constant, Form, Kind, Value};
use crate::ast::Span;
use crate::error::{Answer, Fault};

/// `base.a["b"][0]`
pub(crate) fn member(base: Value, steps: &[(Value, Span)]) -> Answer<Value> {
    match base.kind {
        Kind::Dynamic(Form::Strings | Form::Numbers) => element(base, steps),
        Kind::Dynamic(Form::Xml) => xml_member(base, steps),
        Kind::Dynamic(Form::Engine) => json_member(&format!("toJSONString({})", base.sql), steps),
        Kind::Dynamic(Form::Json) => json_member(&base.sql, steps),
        // A text that holds JSON is often used as if it were parsed.
        Kind::String => json_member(&base.sql, steps),
        kind => Err(Fault::new(
            steps.first().map_or_else(Span::default, |(_, span)| *span),
            format!("a {} has no members", kind.name()),
        )),
    }
}

fn element(base: Value, steps: &[(Value, Span)]) -> Answer<Value> {
    let [(step, span), rest @ ..] = steps else { return Ok(base) };
    let Some(Constant::Int(index)) = step.constant else {
        return Err(Fault::new(
            *span,
            "an array has elements by number: [0] is the first, [-1] the last",
        ));
    };
    let position = if index < 0 { index } else { index.saturating_add(1) };
    let element = format!("{}[{position}]", base.sql);
    match base.kind {
        Kind::Dynamic(Form::Numbers) => Ok(Value::new(element, Kind::Real)),
        _ if rest.is_empty() => Ok(Value::new(element, Kind::String)),
        _ => member(Value::new(element, Kind::Dynamic(Form::Json)), rest),
    }
}

fn json_member(json: &str, steps: &[(Value, Span)]) -> Answer<Value> {
    let mut path = Vec::new();
    for (step, span) in steps {
        path.push(match (&step.constant, step.kind) {
            (Some(Constant::String(name)), _) => quoted(name),
            (Some(Constant::Int(index)), _) if *index >= 0 => index.saturating_add(1).to_string(),
            (Some(Constant::Int(index)), _) => index.to_string(),
            (_, Kind::String) => step.sql.clone(),
            (_, Kind::Int) => format!("toInt64(if({0} < 0, {0}, {0} + 1))", step.sql),
            _ => {
                return Err(Fault::new(
                    *span,
                    "a member is named by a text, an element by a number",
                ));
            }
        });
    }
    let sql = format!("JSONExtractRaw({json}, {})", path.join(", "));
    Ok(Value::new(sql, Kind::Dynamic(Form::Json)))
}

/// The inside of the first element of each name; `["@name"]` is an attribute of the element before it.
fn xml_member(base: Value, steps: &[(Value, Span)]) -> Answer<Value> {
    let mut xml = base.sql;
    let mut element = String::from("[^\\s>/?!]+");
    // The text in which the element of the last step stands.
    let mut outer = xml.clone();
    for (i, (step, span)) in steps.iter().enumerate() {
        let Some(name) = step.text() else {
            return Err(Fault::new(*span, "an element of XML is named by a constant text"));
        };
        if name == "#text" {
            continue;
        }
        if let Some(attribute) = name.strip_prefix('@') {
            if i + 1 < steps.len() {
                return Err(Fault::new(*span, "an attribute has no members"));
            }
            let attribute = regex_quoted(attribute);
            let pattern =
                format!("<{element}(?:\\s[^>]*?)?\\s{attribute}\\s*=\\s*[\"']([^\"']*)[\"']");
            let sql = format!("decodeXMLComponent(extract({outer}, {}))", quoted(&pattern));
            return Ok(Value::new(sql, Kind::String));
        }
        element = regex_quoted(name);
        let pattern = format!("(?s)<{element}(?:\\s[^>]*?)?(?:/>|>(.*?)</{element}\\s*>)");
        outer = xml.clone();
        xml = format!("extract({xml}, {})", quoted(&pattern));
    }
    Ok(Value::new(xml, Kind::Dynamic(Form::Xml)))
}

/// A dynamic value as JSON.
pub(crate) fn json(value: &Value) -> String {
    match value.kind {
        Kind::Dynamic(Form::Json) => value.sql.clone(),
        Kind::Dynamic(Form::Xml) => format!("toJSONString(decodeXMLComponent({}))", value.sql),
        Kind::Dynamic(_) | Kind::String | Kind::Guid => format!("toJSONString({})", value.sql),
        Kind::Bool => format!("if({}, 'true', 'false')", value.sql),
        Kind::Int | Kind::Real => format!("toString({})", value.sql),
        Kind::DateTime | Kind::Timespan => {
            format!("toJSONString({})", functions::to_text(value.clone()).sql)
        }
    }
}

/// A dynamic value's own text: a string without its quotes, nothing for null.
pub(crate) fn text(value: &Value) -> String {
    match value.kind {
        Kind::Dynamic(Form::Json) => {
            let json = &value.sql;
            format!(
                "multiIf(startsWith({json}, '\"'), JSONExtractString({json}), {json} = 'null', '', {json})"
            )
        }
        Kind::Dynamic(Form::Xml) => format!("decodeXMLComponent({})", value.sql),
        _ => format!("toJSONString({})", value.sql),
    }
}

/// `pack("name", value, ...)`
pub(crate) fn pack(values: &[(Value, Span)], span: Span) -> Answer<Value> {
    let mut parts = vec!["'{'".to_owned()];
    for (i, pair) in values.chunks(2).enumerate() {
        let [(name, _), (value, _)] = pair else {
            return Err(Fault::new(span, "pack() needs pairs of a name and a value"));
        };
        if i > 0 {
            parts.push("','".to_owned());
        }
        parts.push(format!("toJSONString({})", functions::to_text(name.clone()).sql));
        parts.push("':'".to_owned());
        parts.push(nonempty_json(value));
    }
    parts.push("'}'".to_owned());
    Ok(Value::new(format!("concat({})", parts.join(", ")), Kind::Dynamic(Form::Json)))
}

/// `pack_array(value, ...)`
pub(crate) fn pack_array(values: &[(Value, Span)]) -> Value {
    let items: Vec<String> = values.iter().map(|(value, _)| nonempty_json(value)).collect();
    let sql = format!("concat('[', arrayStringConcat([{}], ','), ']')", items.join(", "));
    Value::new(sql, Kind::Dynamic(Form::Json))
}

/// JSON that can stand within JSON: what is missing is null.
fn nonempty_json(value: &Value) -> String {
    match value.kind {
        Kind::Dynamic(Form::Json) => format!("if({0} = '', 'null', {0})", value.sql),
        _ if value.nullable => format!("ifNull({}, 'null')", json(value)),
        _ => json(value),
    }
}

/// The elements of a dynamic array, as `Array(String)` of JSON.
pub(crate) fn elements(value: &Value, span: Span) -> Answer<Value> {
    match value.kind {
        Kind::Dynamic(Form::Strings | Form::Numbers) => Ok(value.clone()),
        Kind::Dynamic(Form::Json) | Kind::String => Ok(Value::new(
            format!("JSONExtractArrayRaw({})", value.sql),
            Kind::Dynamic(Form::Engine),
        )),
        Kind::Dynamic(Form::Engine) => Ok(Value::new(
            format!("JSONExtractArrayRaw(toJSONString({}))", value.sql),
            Kind::Dynamic(Form::Engine),
        )),
        kind => Err(Fault::new(span, format!("a {} has no elements", kind.name()))),
    }
}

/// A dynamic array as `Array(String)` of the elements' own texts.
pub(crate) fn strings(value: &Value) -> String {
    match value.kind {
        Kind::Dynamic(Form::Strings) => value.sql.clone(),
        Kind::Dynamic(Form::Engine | Form::Numbers) => {
            format!("JSONExtract(toJSONString({}), 'Array(String)')", value.sql)
        }
        _ => format!("JSONExtract({}, 'Array(String)')", value.sql),
    }
}
