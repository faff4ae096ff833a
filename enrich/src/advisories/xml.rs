//! XML, element by element.
//!
//! Bounded whatever the document is: no single piece of markup or text may be larger than
//! [`PIECE_BYTES_MAX`], nothing nests deeper than [`DEPTH_MAX`], and entities of the document's own are
//! not expanded.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::Unreadable;

/// The longest description that was seen has a hundredth of this.
const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Vendors' documents nest a dozen deep.
const DEPTH_MAX: usize = 256;

/// What comes next in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An element begins: [`Xml::name`], [`Xml::attribute`].
    Open,
    /// An element ends: [`Xml::name`], and in [`Xml::text`] what stood before its end tag.
    Close,
    /// The document ends.
    End,
}

/// Reads a document.
pub(super) struct Xml<R> {
    format: &'static str,
    reader: Reader<Metered<R>>,
    allowance: Rc<Cell<usize>>,
    buffer: Vec<u8>,
    depth: usize,
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl<R: BufRead> Xml<R> {
    /// A reader of what should be a document in `format`.
    pub(super) fn new(format: &'static str, inner: R) -> Self {
        let allowance = Rc::new(Cell::new(PIECE_BYTES_MAX));
        let mut reader = Reader::from_reader(Metered { inner, left: Rc::clone(&allowance) });
        reader.config_mut().expand_empty_elements = true;
        Self {
            format,
            reader,
            allowance,
            buffer: Vec::new(),
            depth: 0,
            name: String::new(),
            attributes: Vec::new(),
            text: String::new(),
        }
    }

    /// Goes on to where the next element begins or ends.
    pub(super) fn step(&mut self) -> Result<Step, Unreadable> {
        self.text.clear();
        loop {
            self.buffer.clear();
            self.allowance.set(PIECE_BYTES_MAX);
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(quick_xml::Error::Io(error)) => {
                    return Err(Unreadable::Io(io::Error::new(error.kind(), error.to_string())));
                }
                Err(error) => {
                    return Err(unsound(self.format, self.reader.error_position(), &error));
                }
            };
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        let at = self.reader.buffer_position();
                        return Err(unsound(self.format, at, "it nests too deep"));
                    }
                    self.name.clear();
                    self.name.push_str(start.local_name().as_ref());
                    if let Err(problem) = read_attributes(&start, &mut self.attributes) {
                        return Err(unsound(self.format, self.reader.buffer_position(), problem));
                    }
                    return Ok(Step::Open);
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.name.clear();
                    self.name.push_str(end.local_name().as_ref());
                    return Ok(Step::Close);
                }
                Event::Text(text) => self.text.push_str(&text.xml10_content()),
                Event::CData(text) => self.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => self.text.push(character),
                    Ok(None) => {
                        let known = quick_xml::escape::resolve_predefined_entity(&reference);
                        self.text.push_str(known.unwrap_or_default());
                    }
                    Err(error) => {
                        return Err(unsound(self.format, self.reader.buffer_position(), error));
                    }
                },
                Event::Eof if self.depth > 0 => {
                    let at = self.reader.buffer_position();
                    return Err(unsound(self.format, at, "it ends within an element"));
                }
                Event::Eof => return Ok(Step::End),
                _ => {}
            }
            if self.text.len() > PIECE_BYTES_MAX {
                let at = self.reader.buffer_position();
                return Err(unsound(self.format, at, "one text is too long"));
            }
        }
    }

    /// Name of the element, without a prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Text since the last tag, without space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// An attribute of the element that has begun last; empty without it.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }
}

fn read_attributes(
    start: &BytesStart<'_>,
    attributes: &mut Vec<(String, String)>,
) -> Result<(), String> {
    attributes.clear();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| error.to_string())?;
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
    }
    Ok(())
}

fn unsound(format: &'static str, at: u64, problem: impl Display) -> Unreadable {
    Unreadable::Unsound { format, problem: format!("{problem} (byte {at})") }
}

/// Ends a read that goes on for too long without an event.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: BufRead> Metered<R> {
    fn spend(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_sub(bytes));
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.spend(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left.get() == 0 {
            let limit = format!("one piece of it has over {PIECE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, limit));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.spend(bytes);
        self.inner.consume(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(document: &str) -> Result<Vec<String>, String> {
        let mut xml = Xml::new("test", io::BufReader::new(document.as_bytes()));
        let mut seen = Vec::new();
        loop {
            match xml.step().map_err(|error| error.to_string())? {
                Step::Open => seen.push(format!("<{} {}", xml.name(), xml.attribute("a"))),
                Step::Close => seen.push(format!("{} {}>", xml.text(), xml.name())),
                Step::End => return Ok(seen),
            }
        }
    }

    #[test]
    fn elements_come_with_their_text_and_without_their_prefix() {
        let document = "<?xml version='1.0'?><!-- c --><p:r a='1 &amp; 2'><q/>x &lt; \
                        <![CDATA[<y>]]> &#65;</p:r>";
        assert_eq!(steps(document).unwrap(), ["<r 1 & 2", "<q ", " q>", "x < <y> A r>"]);
    }

    #[test]
    fn what_is_cut_off_or_endless_is_an_error() {
        assert!(steps("<a><b>text").unwrap_err().contains("within an element"));
        assert!(steps("<a></b>").is_err());
        assert!(steps(&"<a>".repeat(DEPTH_MAX + 1)).unwrap_err().contains("too deep"));
        let long = format!("<a>{}</a>", "x".repeat(PIECE_BYTES_MAX + 100_000));
        assert!(steps(&long).unwrap_err().contains("one piece of it"));
        let many = format!("<a>{}</a>", "x&#65;".repeat(PIECE_BYTES_MAX / 2 + 10));
        assert!(steps(&many).unwrap_err().contains("too long"));
    }
}
