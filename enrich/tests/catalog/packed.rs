//! Archives, directories and URLs around documents, and archives that are made to do harm.

use std::cell::Cell;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::rc::Rc;

use patchline_enrich::advisories::Unreadable;
use patchline_enrich::advisories::document::{self, Content};
use patchline_enrich::advisories::walk::{Source, Visit, Walk};
use zip::write::SimpleFileOptions;

use crate::Found;
use crate::fixtures::{MONTH_XML, TABLE_CSV};

/// What a walk comes to: ids of advisories and names of failures.
#[derive(Default)]
struct Seen {
    found: Found,
    names: Vec<String>,
    failed: Vec<String>,
}

impl Visit for Seen {
    fn document(&mut self, name: &str, content: Content<'_>, named: bool) {
        self.names.push(format!("{name}{}", if named { " (named)" } else { "" }));
        if let Err(error) = document::import(content, None, &mut self.found) {
            self.failed.push(format!("{name} {error}"));
        }
    }
    fn unchanged(&mut self, name: &str) {
        panic!("{name} is never asked for its state");
    }
    fn failed(&mut self, name: &str, error: &Unreadable) {
        self.failed.push(format!("{name} {error}"));
    }
}

fn walk(source: &str) -> Seen {
    let mut seen = Seen::default();
    let source: Source = source.parse().unwrap();
    Walk::new(&mut seen, Rc::new(Cell::new(0))).source(&source, None);
    seen
}

fn walk_bytes(bytes: &[u8]) -> Seen {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let mut seen = walk(file.path().to_str().unwrap());
    // Names without the temporary one.
    let name = file.path().to_str().unwrap().to_owned();
    for text in seen.names.iter_mut().chain(&mut seen.failed) {
        *text = text.replace(&name, "file");
    }
    seen
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const MONTH_IDS: [&str; 3] = ["2031-Jan/KB9000001", "2031-Jan/KB900004", "2031-Jan/MS30-104"];

#[test]
fn packing_in_any_order_changes_nothing() {
    let month = MONTH_XML.as_bytes();
    let packed = [
        month.to_vec(),
        zstd(month),
        gzip(month),
        zip(&[("month.xml", month)]),
        tar(&[("month.xml", month)]),
        zstd(&tar(&[("deep/month.xml", month)])),
        gzip(&tar(&[("month", &zstd(month))])),
        zip(&[("all.tar.gz", &gzip(&tar(&[("month.zip", &zip(&[("m", month)]))])))]),
    ];
    for (at, bytes) in packed.iter().enumerate() {
        let seen = walk_bytes(bytes);
        assert_eq!(seen.failed, Vec::<String>::new(), "{at}");
        assert_eq!(seen.found.ids(), MONTH_IDS, "{at}");
        assert_eq!(seen.names.len(), 1, "{at}");
    }
}

#[test]
fn a_broken_member_harms_none_and_is_named() {
    let month = MONTH_XML.as_bytes();
    let cut = &month[..month.len() / 2];
    let mut broken = zstd(month);
    let at = broken.len() / 2;
    broken.truncate(at);
    for bytes in [
        tar(&[("a.xml", cut), ("b.zst", &broken), ("c.xml", month), ("readme", b"hello")]),
        zip(&[("a.xml", cut), ("b.zst", &broken), ("c.xml", month), ("readme", b"hello")]),
    ] {
        let seen = walk_bytes(&bytes);
        assert_eq!(seen.found.ids(), MONTH_IDS);
        assert_eq!(seen.failed.len(), 3, "{:?}", seen.failed);
        assert!(seen.failed[0].starts_with("file: a.xml is no sound MSRC document: "));
        assert!(seen.failed[1].starts_with("file: b.zst cannot be read: "), "{:?}", seen.failed);
        assert!(seen.failed[2].starts_with("file: readme is in no known format"));
    }
}

#[test]
fn a_directory_is_walked_in_the_order_of_names_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("b")).unwrap();
    for name in ["c", "a", "b/2", "b/1"] {
        fs::write(path(name), TABLE_CSV).unwrap();
    }
    std::os::unix::fs::symlink(directory.path(), path("b/loop")).unwrap();
    let seen = walk(directory.path().to_str().unwrap());
    let names: Vec<&Path> = seen
        .names
        .iter()
        .map(|name| Path::new(name).strip_prefix(directory.path()).unwrap())
        .collect();
    assert_eq!(names, ["a", "b/1", "b/2", "c"].map(Path::new));
    assert_eq!(seen.failed, Vec::<String>::new());
    let missing = walk(path("none").to_str().unwrap());
    assert!(missing.failed[0].contains("cannot be read: No such file"), "{:?}", missing.failed);
}

#[test]
fn a_workbook_is_read_like_the_table_it_is() {
    let rows: String = TABLE_CSV
        .lines()
        .enumerate()
        .map(|(at, line)| {
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let cells: String = record
                .iter()
                .enumerate()
                .filter(|(_, text)| !text.is_empty())
                .map(|(column, text)| {
                    let place = format!("{}{}", char::from(b'A' + column as u8), at + 1);
                    match text.parse::<u32>() {
                        Ok(number) => format!(r#"<c r="{place}"><v>{number}</v></c>"#),
                        Err(_) => {
                            format!(r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#)
                        }
                    }
                })
                .collect();
            format!(r#"<row r="{}">{cells}</row>"#, at + 1)
        })
        .collect();
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    // One cell far off, which a dense table would need terabytes for.
    let sheet = format!(
        r#"<worksheet xmlns="{main}"><sheetData>{rows}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>"#
    );
    let workbook = format!(
        r#"<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="All" sheetId="1" r:id="rId1"/></sheets></workbook>"#
    );
    let related = format!(
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#
    );
    let root = format!(
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
    );
    let bytes = zip(&[
        ("_rels/.rels", root.as_bytes()),
        ("xl/workbook.xml", workbook.as_bytes()),
        ("xl/_rels/workbook.xml.rels", related.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ]);
    for bytes in [bytes.clone(), zip(&[("tables/bulletins.xlsx", &bytes)])] {
        let seen = walk_bytes(&bytes);
        assert_eq!(seen.failed, Vec::<String>::new());
        let (table, _) = crate::import(TABLE_CSV.as_bytes(), None);
        assert_eq!(seen.found.advisories, table.advisories);
        assert_eq!(seen.found.bad, table.bad);
    }
}

#[test]
fn packing_without_end_is_an_error() {
    let mut bytes = MONTH_XML.as_bytes().to_vec();
    for _ in 0..10 {
        bytes = gzip(&bytes);
    }
    let seen = walk_bytes(&bytes);
    assert_eq!(seen.failed, ["file is too large: packed more than 6 times"]);
    // 2 GB of spaces in a few kilobytes, within an element that never ends.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(b"<updates><update><id>").unwrap();
    let block = vec![b' '; 1 << 20];
    (0..64).for_each(|_| encoder.write_all(&block).unwrap());
    let seen = walk_bytes(&encoder.finish().unwrap());
    assert!(seen.failed[0].contains("one piece of it has over"), "{:?}", seen.failed);
}

/// Answers each request with the next of `answers`, then goes.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            stream.write_all(&answer).unwrap();
        }
    });
    url
}

/// Answers one connection with what is no TLS.
fn serve_noise() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    url
}

#[test]
fn a_url_is_fetched_whatever_it_serves_and_a_failure_is_told() {
    let body = zip(&[("month.xml.zst", &zstd(MONTH_XML.as_bytes()))]);
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let answer = [head.as_bytes(), &body].concat();
    let gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    let cut = answer[..answer.len() - 10].to_vec();
    let url = serve(vec![answer, gone, cut]);
    let seen = walk(&format!("{url}/all.zip"));
    assert_eq!((seen.found.ids(), seen.failed), (MONTH_IDS.to_vec(), vec![]));
    let seen = walk(&format!("{url}/gone"));
    assert_eq!(seen.failed, [format!("{url}/gone cannot be read: http status: 404")]);
    let seen = walk(&format!("{url}/cut"));
    assert_eq!((seen.found.ids().len(), seen.failed.len()), (0, 1), "{:?}", seen.failed);
    // Nobody here has a certificate; what is asked for one must fail in an orderly way.
    let url = serve_noise().replace("http:", "https:");
    let seen = walk(&url);
    assert!(seen.failed[0].starts_with(&format!("{url} cannot be read: ")), "{:?}", seen.failed);
}
