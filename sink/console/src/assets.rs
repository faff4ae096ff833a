//! The page itself: markup, style, scripts and the charting library, in the binary. Nothing is fetched from
//! elsewhere.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($path:literal: $kind:expr),* $(,)?) => {
        &[$(Asset {
            path: concat!("/", $path),
            kind: $kind,
            bytes: include_bytes!(concat!("../assets/", $path)),
        }),*]
    };
}

const ASSETS: &[Asset] = assets![
    "index.html": HTML,
    "icon.svg": "image/svg+xml",
    "style.css": STYLE,
    "main.js": SCRIPT,
    "api.js": SCRIPT,
    "chart.js": SCRIPT,
    "dom.js": SCRIPT,
    "range.js": SCRIPT,
    "table.js": SCRIPT,
    "theme.js": SCRIPT,
    "pages/deployment.js": SCRIPT,
    "pages/deployments.js": SCRIPT,
    "pages/machine.js": SCRIPT,
    "pages/machines.js": SCRIPT,
    "pages/missing.js": SCRIPT,
    "pages/overview.js": SCRIPT,
    "pages/pipeline.js": SCRIPT,
    "pages/update.js": SCRIPT,
    "vendor/uPlot.esm.js": SCRIPT,
    "vendor/uPlot.min.css": STYLE,
];

/// The file at a path of the page's address.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    let path = if path == "/" { "/index.html" } else { path };
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    /// Changes with the content.
    #[must_use]
    pub fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served_but_notes_and_licences() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut found = Vec::new();
        files(&folder, &mut found);
        for path in found {
            let name = format!("/{}", path.strip_prefix(&folder).unwrap().display());
            let is_note = name.ends_with(".md") || name.ends_with(".txt");
            assert_eq!(find(&name).is_some(), !is_note, "{name}");
        }
        assert_eq!(find("/").map(|asset| asset.kind), Some(HTML));
        assert!(find("/../Cargo.toml").is_none());
    }
}
