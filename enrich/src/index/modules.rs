//! Module streams of Red Hat's family: which of a package's builds belong to the same stream.
//!
//! A modular build says so in its release, `1.el8.module_el8.5.0+2605+45d748af`: the last part is a
//! digest of module, stream, version and context, so every build belongs to one stream. Reports do
//! not name it. Advisories name one, in a field or in their title (`nodejs:16 security update`), and
//! what they fix is fixed in that stream; yet where streams share a package, some list another stream's
//! build of it. So each advisory is a vote for its stream by every package that it lists of a build,
//! and the build belongs to the stream for which the most packages vote.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

/// Whether `version` is a modular build.
pub(crate) fn is_modular(version: &str) -> bool {
    version.contains(".module")
}

/// What identifies the modular build of `version`, `45d748af`.
pub(crate) fn build(version: &str) -> Option<&str> {
    let (_, told) = version.split_once(".module")?;
    let last = told.splitn(4, '+').last().unwrap_or_default();
    let digest = last.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    Some(if digest.is_empty() { told } else { digest })
}

/// The streams that a title names: `nodejs:16`, or two that are released together.
pub(crate) fn named(title: &str) -> impl Iterator<Item = &str> {
    title.split_whitespace().filter(|word| match word.split_once(':') {
        Some((module, stream)) => {
            let part = |text: &str| {
                text.starts_with(|first: char| first.is_ascii_alphanumeric())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
            };
            part(module) && part(stream)
        }
        None => false,
    })
}

/// The votes of all advisories seen so far. An advisory that is withdrawn does not take its votes
/// along: what it said of builds stays true.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    /// By build and stream, the packages that vote, as digests: they are counted only.
    builds: BTreeMap<Box<str>, BTreeMap<Box<str>, BTreeSet<u64>>>,
    /// Streams that titles name together, as pairs.
    together: BTreeSet<(Box<str>, Box<str>)>,
    hasher: RandomState,
}

impl Votes {
    /// An advisory lists `version` of `package` and names `streams`.
    pub(crate) fn cast(&mut self, package: &str, version: &str, streams: &[&str]) {
        let (Some(build), Some(stream)) = (build(version), streams.first()) else { return };
        let votes = self.builds.entry(build.into()).or_default();
        votes.entry((*stream).into()).or_default().insert(self.hasher.hash_one(package));
        for pair in streams.windows(2) {
            if let [one, other] = pair {
                self.together.insert(((*one).into(), (*other).into()));
            }
        }
    }

    /// Counts the votes.
    pub(crate) fn streams(&self) -> Streams {
        // Streams that are released together count as one, which is named by the first of them.
        let mut leaders: HashMap<&str, &str> = HashMap::new();
        for (one, other) in &self.together {
            let (one, other) = (leader(&leaders, one), leader(&leaders, other));
            if one != other {
                leaders.insert(one.max(other), one.min(other));
            }
        }
        let mut builds = HashMap::new();
        for (build, votes) in &self.builds {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for (stream, packages) in votes {
                *counts.entry(leader(&leaders, stream)).or_default() += packages.len();
            }
            let most = counts.into_iter().rev().max_by_key(|(_, votes)| *votes);
            if let Some((stream, _)) = most {
                builds.insert(build.clone(), stream.into());
            }
        }
        let all = leaders.keys().map(|one| ((*one).into(), leader(&leaders, one).into()));
        Streams { builds, leaders: all.collect() }
    }
}

fn leader<'a>(leaders: &HashMap<&'a str, &'a str>, mut stream: &'a str) -> &'a str {
    // Each step goes to a smaller name, so this ends.
    while let Some(next) = leaders.get(stream) {
        stream = next;
    }
    stream
}

/// Which stream each known build belongs to.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    builds: HashMap<Box<str>, Box<str>>,
    /// Streams that go by the name of another.
    leaders: HashMap<Box<str>, Box<str>>,
}

impl Streams {
    /// The stream of `version`, if it is a modular build that advisories know.
    pub(crate) fn known(&self, version: &str) -> Option<&str> {
        self.builds.get(build(version)?).map(AsRef::as_ref)
    }

    /// The stream that an advisory which names `stream` is about when it lists `version`, if it can be
    /// known.
    pub(crate) fn of<'a>(&'a self, stream: &'a str, version: &str) -> Option<&'a str> {
        match stream {
            "" => self.known(version),
            named => Some(self.leaders.get(named).map_or(named, AsRef::as_ref)),
        }
    }
}

/// How many leading parts of their upstream versions two versions share: 2 for `1:7.4.19-3` and
/// `7.4.6-1`.
pub(crate) fn shared_parts(one: &str, other: &str) -> usize {
    let upstream = |version: &str| {
        let version = version.split_once(':').map_or(version, |(_, rest)| rest);
        version.split_once('-').map_or(version, |(upstream, _)| upstream).to_owned()
    };
    let (one, other) = (upstream(one), upstream(other));
    one.split('.').zip(other.split('.')).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_known_by_its_digest_however_it_was_rebuilt() {
        for (version, digest) in [
            ("1:10.24.0-1.module_el8.3.0+2047+b07ac28e", Some("b07ac28e")),
            ("1:10.24.0-1.module+el8.3.0+10191+b07ac28e", Some("b07ac28e")),
            ("1:1.16.1-2.module_el8.4.0+2470+68135136.1.alma", Some("68135136")),
            ("2-1.module_odd", Some("_odd")),
            ("2-1.module", Some("")),
            ("1.0-1.el8", None),
        ] {
            assert_eq!(build(version), digest, "{version}");
            assert_eq!(is_modular(version), digest.is_some());
        }
    }

    #[test]
    fn a_title_names_its_streams() {
        let named = |title| named(title).collect::<Vec<_>>();
        assert_eq!(named("Important: nodejs:16 security update"), ["nodejs:16"]);
        let both = named("Moderate: virt:rhel and virt-devel:rhel security update");
        assert_eq!(both, ["virt:rhel", "virt-devel:rhel"]);
        assert!(named("Important: kernel security update: part 2").is_empty());
    }

    #[test]
    fn a_build_belongs_to_the_stream_for_which_most_packages_vote() {
        let mut votes = Votes::default();
        let ten = "10.24.0-1.module_el8.3.0+2047+b07ac28e";
        votes.cast("nodejs", ten, &["nodejs:10"]);
        votes.cast("npm", ten, &["nodejs:10"]);
        for _ in 0..5 {
            votes.cast("nodejs-nodemon", "1.18.3-1.module_el8.3.0+2047+b07ac28e", &["nodejs:12"]);
        }
        votes.cast("nodejs", "12.22.5-1.module_el8.4.0+2529+af52a4c7", &["nodejs:12"]);
        let streams = votes.streams();
        assert_eq!(streams.known(ten), Some("nodejs:10"));
        assert_eq!(streams.known("1-1.module+el8.4.0+1+af52a4c7"), Some("nodejs:12"));
        assert_eq!(streams.known("1-1.module+el8.4.0+1+00000000"), None);
        assert_eq!(streams.known("1-1.el8"), None);
        assert_eq!(streams.of("nodejs:12", ten), Some("nodejs:12"));
        assert_eq!(streams.of("", ten), Some("nodejs:10"));
    }

    #[test]
    fn streams_that_are_released_together_count_as_one() {
        let mut votes = Votes::default();
        votes.cast("qemu", "1-1.module_el8.3.0+1+aaaaaaaa", &["virt:rhel", "virt-devel:rhel"]);
        votes.cast("qemu", "2-1.module_el8.4.0+2+bbbbbbbb", &["virt-devel:rhel"]);
        let streams = votes.streams();
        for version in ["1-1.module_el8.3.0+1+aaaaaaaa", "2-1.module_el8.4.0+2+bbbbbbbb"] {
            assert_eq!(streams.known(version), Some("virt-devel:rhel"));
            assert_eq!(streams.of("virt:rhel", version), Some("virt-devel:rhel"));
        }
    }

    #[test]
    fn versions_of_a_stream_share_the_beginning() {
        assert_eq!(shared_parts("1:7.4.19-3", "7.4.6-1"), 2);
        assert_eq!(shared_parts("12.9-1", "13.5-1"), 0);
        assert_eq!(shared_parts("12.9-1", "12.9-2"), 2);
    }
}
