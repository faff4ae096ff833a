//! Documents with random damage: an importer may refuse them, and may not panic, hang, or take a damaged
//! document for another's key.

use std::cell::Cell;
use std::rc::Rc;

use patchline_enrich::advisories::Unreadable;
use patchline_enrich::advisories::document::{self, Content};
use patchline_enrich::advisories::walk::{Source, Visit, Walk};

use crate::fixtures::{MONTH_JSON, MONTH_XML, TABLE_CSV, UPDATES_XML};
use crate::{Found, import};

/// Deterministic numbers (splitmix64), the same for the same seed everywhere.
struct Random(u64);

impl Random {
    /// Seeded by `SEED`; prints it.
    fn seeded() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(637_193);
        println!("SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    /// Damages `bytes` in a few places.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, self.below(256) as u8),
                3 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
                4 => {
                    let end = (at + self.below(200)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                _ => {
                    let odd = [
                        "<",
                        "&",
                        "\"",
                        "]]>",
                        "&#0;",
                        "{",
                        "null",
                        "\u{feff}",
                        ",,,",
                        "9999999999999999999",
                    ];
                    let text = odd[self.below(odd.len())];
                    bytes.splice(at..at, text.bytes());
                }
            }
            if bytes.is_empty() {
                return;
            }
        }
    }
}

const RECORD: &str = r#"{"id": "USN-1-1", "modified": "2031-01-02T00:00:00Z", "summary": "Important: php:7.3 update",
  "related": ["CVE-2031-0001"], "severity": [{"type": "Ubuntu", "score": "high"}],
  "references": [{"type": "ADVISORY", "url": "https://example.org/classification/#low"}],
  "affected": [{"package": {"ecosystem": "Ubuntu:16.04:LTS", "name": "a", "purl": "pkg:rpm/a?rpmmod=b:1:2:3"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1-1.module_el8+1"}, {"introduced": "2"}, {"fixed": "3"}]}],
    "ecosystem_specific": {"binaries": [{"binary_name": "a1", "binary_version": "1"}, {"a2": "3"}]}}]}"#;

#[test]
fn damaged_documents_never_panic() {
    let mut random = Random::seeded();
    let documents = [MONTH_XML, MONTH_JSON, TABLE_CSV, UPDATES_XML, RECORD];
    let (mut read, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut bytes = documents[round % documents.len()].as_bytes().to_vec();
        random.damage(&mut bytes);
        let (found, result) = import(&bytes, Some("rocky-8"));
        for advisory in &found.advisories {
            assert!(!advisory.id.is_empty() && !advisory.source.is_empty());
            let kbs = advisory.kb_fixes.iter();
            assert!(kbs.clone().all(|fix| matches!(fix.kbid.len(), 6 | 7)));
            let packages = advisory.package_fixes.iter();
            assert!(packages.clone().all(|fix| !fix.fixed.is_empty()));
        }
        if result.is_ok() { read += 1 } else { refused += 1 }
    }
    // Damage that is always or never noticed would not test much.
    assert!(read > 500 && refused > 500, "{read} read, {refused} refused");
}

/// Takes whatever comes.
struct Anything(Found);

impl Visit for Anything {
    fn document(&mut self, _: &str, content: Content<'_>, _: bool) {
        let _ = document::import(content, None, &mut self.0);
    }
    fn unchanged(&mut self, name: &str) {
        panic!("{name} is never asked for its state");
    }
    fn failed(&mut self, _: &str, _: &Unreadable) {}
}

#[test]
fn damaged_archives_never_panic() {
    use std::io::Write;

    let mut random = Random::seeded();
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["a.xml", "b.xml"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(MONTH_XML.len() as u64);
        tar.append_data(&mut header, name, MONTH_XML.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["xl/workbook.xml", "b.xml"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(MONTH_XML.as_bytes()).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let archives = [zstd::encode_all(&tar[..], 1).unwrap(), tar, zip];
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = Source::Path(file.path().to_owned());
    for round in 0..900 {
        let mut bytes = archives[round % archives.len()].clone();
        random.damage(&mut bytes);
        std::fs::write(file.path(), &bytes).unwrap();
        let mut seen = Anything(Found::default());
        Walk::new(&mut seen, Rc::new(Cell::new(0))).source(&source, None);
    }
}
