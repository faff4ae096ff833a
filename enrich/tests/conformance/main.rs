//! The catalog against real data: what vendors published, read here in another way than the importers
//! do, must be what the index answers. Prints its figures, and every miss up to a limit.
//!
//! Reads the folder in the environment variable `DATA` (`make conformance DATA=dir`), or the
//! conformance data beside the repository: `msrc/` with months as `.xml` or `.xml.zst`, `osv/` with
//! records as `.json` or in `.tar`, `.tar.zst`, `.tar.gz`, `versions/` with `a<TAB>b<TAB>-1|0|1` in
//! `deb_*.tsv` and `rpm_*.tsv`. What is not there is not checked, and that is said.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test stops at the first surprise"
)]

mod msrc;
mod packages;
mod tally;
mod versions;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use patchline_enrich::advisories::document::{Content, import};
use patchline_enrich::advisories::{Collect, Unreadable};
use patchline_enrich::index::IndexBuilder;
use patchline_schemas::Advisory;

/// A file of the data: its name, and its content with nothing packed any more.
struct Document {
    name: String,
    content: Vec<u8>,
}

/// The folder `part` of the data, unless it is not there.
fn folder(part: &str) -> Option<PathBuf> {
    let given = std::env::var_os("DATA").filter(|given| !given.is_empty()).map(PathBuf::from);
    let data =
        given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let folder = data.join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("{part}: NOT CHECKED, there is no folder {}", folder.display());
    None
}

/// The files below `folder` with one of `endings`, packed ones unpacked, in the order of their names.
fn documents(folder: &Path, endings: &[&str]) -> Vec<Document> {
    let mut found = Vec::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            found.extend(documents(&path, endings));
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        let file = File::open(&path).unwrap();
        let plain = if let Some(plain) = name.strip_suffix(".zst") {
            zstd::Decoder::new(file).unwrap().read_to_end(&mut content).unwrap();
            plain.to_owned()
        } else if let Some(plain) = name.strip_suffix(".gz") {
            flate2::read::GzDecoder::new(file).read_to_end(&mut content).unwrap();
            plain.to_owned()
        } else {
            File::open(&path).unwrap().read_to_end(&mut content).unwrap();
            name.clone()
        };
        if plain.ends_with(".tar") {
            for entry in tar::Archive::new(content.as_slice()).entries().unwrap() {
                let mut entry = entry.unwrap();
                let inner = entry.path().unwrap().to_string_lossy().into_owned();
                if endings.iter().any(|ending| inner.ends_with(ending)) {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).unwrap();
                    found.push(Document { name: format!("{name}/{inner}"), content });
                }
            }
        } else if endings.iter().any(|ending| plain.ends_with(ending)) {
            found.push(Document { name, content });
        }
    }
    found
}

/// What the importers make of a document.
#[derive(Default)]
struct Imported {
    builder: IndexBuilder,
    advisories: usize,
    bad: Vec<String>,
}

impl Collect for Imported {
    fn advisory(&mut self, advisory: Advisory<'static>) {
        self.advisories += 1;
        self.builder.upsert(&advisory);
    }

    fn left_out(&mut self, _why: &'static str) {}

    fn bad(&mut self, record: &str, why: &str) {
        self.bad.push(format!("{record}: {why}"));
    }
}

impl Imported {
    fn take(&mut self, document: &Document) -> Result<(), Unreadable> {
        let mut content = document.content.as_slice();
        import(Content::Stream(&mut content), None, self).map(|_| ())
    }
}
