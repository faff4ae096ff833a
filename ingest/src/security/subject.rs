//! Whom a certificate or a signature speaks for.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

const NAMESPACE: &str = "urn:patchline:";

/// Bytes of a subject's name: that of a computer's id in a record.
const NAME_BYTES_MAX: usize = 512;

/// A sender that can prove who it is. Written as a URN: `urn:patchline:computer:<SourceComputerId>`. A GUID
/// is the same in capitals, as it is in the records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// One computer; speaks for itself. The name is its `SourceComputerId`, exactly.
    Computer(String),
    /// A management group; speaks for the computers on its allow-list.
    Group(String),
    /// A gateway or another service of ours; speaks for everybody of its workspace.
    Gateway(String),
}

impl Subject {
    /// The name within its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Computer(name) | Self::Group(name) | Self::Gateway(name) => name,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Computer(_) => "computer",
            Self::Group(_) => "group",
            Self::Gateway(_) => "gateway",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAMESPACE}{}:{}", self.kind(), self.name())
    }
}

/// A text is no subject's URN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0:.100}` is not urn:patchline:computer:<id>, …:group:<name> or …:gateway:<name>, in visible ASCII"
)]
pub struct NoSubject(String);

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(text: &str) -> Result<Self, NoSubject> {
        let named = || {
            let (kind, name) = text.strip_prefix(NAMESPACE)?.split_once(':')?;
            let sound = (1..=NAME_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_graphic());
            let mut name = sound.then(|| name.to_owned())?;
            if Uuid::try_parse(&name).is_ok() {
                name.make_ascii_lowercase();
            }
            match kind {
                "computer" => Some(Self::Computer(name)),
                "group" => Some(Self::Group(name)),
                "gateway" => Some(Self::Gateway(name)),
                _ => None,
            }
        };
        named().ok_or_else(|| NoSubject(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_its_urn_and_nothing_else_is() {
        for subject in [
            Subject::Computer("5c0a7d6e-11f0-4a55-9d25-3f1c2f0c9a01".to_owned()),
            Subject::Group("contoso:west".to_owned()),
            Subject::Gateway("edge-1".to_owned()),
        ] {
            assert_eq!(subject.to_string().parse::<Subject>(), Ok(subject));
        }
        let capitals = "urn:patchline:computer:5C0A7D6E-11F0-4A55-9D25-3F1C2F0C9A01";
        let subject: Subject = capitals.parse().unwrap();
        assert_eq!(subject.name(), "5c0a7d6e-11f0-4a55-9d25-3f1c2f0c9a01");
        assert_eq!("urn:patchline:computer:Web-1".parse::<Subject>().unwrap().name(), "Web-1");
        let long = format!("urn:patchline:computer:{}", "x".repeat(513));
        for text in [
            "",
            "web-1",
            "urn:patchline:computer:",
            "urn:patchline:computer",
            "urn:patchline:host:web-1",
            "urn:patchline:computer:web 1",
            "urn:patchline:computer:web\n1",
            "urn:patchline:computer:wéb",
            "URN:patchline:computer:web-1",
            &long,
        ] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
