//! Version order against the vectors of the package managers' own test suites.

use std::cmp::Ordering;
use std::fs;

use patchline_enrich::index::Scheme;

use crate::folder;
use crate::tally::Tally;

fn key(scheme: Scheme, version: &str) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    scheme.sort_key(version, &mut key).then_some(key)
}

#[test]
fn every_version_vector_holds() {
    let Some(folder) = folder("versions") else { return };
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    let mut misses = 0;
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scheme = match &name {
            name if name.starts_with("deb") => Scheme::Deb,
            name if name.starts_with("rpm") => Scheme::Rpm,
            _ => {
                println!("versions: {name} is of no known package manager");
                continue;
            }
        };
        let mut tally = Tally::default();
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.is_empty()) {
            let fields: Vec<&str> = line.split('\t').collect();
            let holds = match fields.as_slice() {
                ["valid", version] => key(scheme, version).is_some(),
                ["invalid", version] => key(scheme, version).is_none(),
                [a, b, order] => {
                    let order = match *order {
                        "-1" => Ordering::Less,
                        "0" => Ordering::Equal,
                        "1" => Ordering::Greater,
                        other => panic!("{name}: `{other}` in `{line}` is no order"),
                    };
                    match (key(scheme, a), key(scheme, b)) {
                        (Some(a), Some(b)) => a.cmp(&b) == order && b.cmp(&a) == order.reverse(),
                        _ => false,
                    }
                }
                _ => panic!("{name}: `{line}` is no vector"),
            };
            tally.must(holds, || line.to_owned());
        }
        misses += tally.print(&format!("versions, {name}"));
    }
    assert_eq!(misses, 0, "the misses are listed above");
}
