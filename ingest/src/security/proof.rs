//! Keys, and requests that are signed with them.
//!
//! A subject's key is `HMAC-SHA256(workspace key, URN)`: whoever has the workspace's key can make it
//! again, nobody can find the workspace's key from it, and of two subjects' keys neither tells the other.
//!
//! A signed request has these headers:
//!
//! | header | |
//! |---|---|
//! | `x-patchline-workspace` | id of the workspace whose key the subject's follows from |
//! | `x-patchline-subject` | the subject's URN |
//! | `x-patchline-timestamp` | milliseconds since 1970, UTC |
//! | `Content-Digest` | `sha-256=:<Base64>:` of the body as it is on the wire (RFC 9530) |
//! | `x-patchline-signature` | Base64 of HMAC-SHA256, by the subject's key, of the lines below |
//!
//! `patchline-1`, the method, path and query, the first four headers' values; each line ends with a line
//! feed. The digest binds the body, so that a signature is judged from the headers alone.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::subject::Subject;

/// A shorter key could be guessed; those of Log Analytics have 64 bytes.
const KEY_BYTES_MIN: usize = 16;

/// First line of what is signed.
const VERSION: &str = "patchline-1";

const WORKSPACE: HeaderName = HeaderName::from_static("x-patchline-workspace");
const SUBJECT: HeaderName = HeaderName::from_static("x-patchline-subject");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-patchline-timestamp");
const DIGEST: HeaderName = HeaderName::from_static("content-digest");
const SIGNATURE: HeaderName = HeaderName::from_static("x-patchline-signature");

/// A secret key. It is in no log and no error.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// Reads Base64.
    ///
    /// # Errors
    /// It is no Base64, or too short. The text itself is not repeated.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| "the key is no Base64")?;
        if bytes.len() < KEY_BYTES_MIN {
            return Err(format!(
                "the key has {} bytes, at least {KEY_BYTES_MIN} are needed",
                bytes.len()
            ));
        }
        Ok(Self(bytes))
    }

    /// Reads a file of Base64.
    ///
    /// # Errors
    /// It cannot be read, or holds no key; names the file, not its content.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::from_base64(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The key of `subject`, where this one is its workspace's.
    #[must_use]
    pub fn of(&self, subject: &Subject) -> Self {
        Self(self.mac(subject.to_string().as_bytes()))
    }

    /// As it is kept in a file or a variable: a secret.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(&self.0)
    }

    /// An HMAC under this key; always something, since HMAC takes keys of any length.
    pub(crate) fn hmac(&self) -> Option<Hmac<Sha256>> {
        Hmac::<Sha256>::new_from_slice(&self.0).ok()
    }

    fn mac(&self, text: &[u8]) -> Vec<u8> {
        let mac = self.hmac().map(|mut hmac| {
            hmac.update(text);
            hmac.finalize().into_bytes().to_vec()
        });
        mac.unwrap_or_default()
    }

    /// Whether `signature` is this key's under `text`, in constant time.
    fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.hmac().is_some_and(|mut hmac| {
            hmac.update(text);
            hmac.verify_slice(signature).is_ok()
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Self::from_base64(&String::deserialize(reader)?).map_err(D::Error::custom)
    }
}

/// What a sender signs its requests with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The workspace that it belongs to.
    pub workspace: Uuid,
    /// Who it is.
    pub subject: Subject,
    /// Its own key, [`Key::of`] the workspace's.
    pub key: Key,
}

impl Credential {
    /// The headers that sign a request for `path` (with its query) whose body has the bytes `body` on the
    /// wire. Each attempt is signed anew.
    #[must_use]
    pub fn sign(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> [(HeaderName, String); 5] {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let workspace = self.workspace.to_string();
        let subject = self.subject.to_string();
        let timestamp = since.as_millis().to_string();
        let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(body)));
        let text = signed_text(method, path, &workspace, &subject, &timestamp, &digest);
        let signature = BASE64_STANDARD.encode(self.key.mac(text.as_bytes()));
        [
            (WORKSPACE, workspace),
            (SUBJECT, subject),
            (TIMESTAMP, timestamp),
            (DIGEST, digest),
            (SIGNATURE, signature),
        ]
    }
}

fn signed_text(
    method: &str,
    path: &str,
    workspace: &str,
    subject: &str,
    timestamp: &str,
    digest: &str,
) -> String {
    format!("{VERSION}\n{method}\n{path}\n{workspace}\n{subject}\n{timestamp}\n{digest}\n")
}

/// SHA-256 of a body as it is on the wire.
pub type Sha256Digest = [u8; 32];

/// A request's signature, read and not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The workspace that is named.
    pub workspace: Uuid,
    /// Who claims to have signed it.
    pub subject: Subject,
    /// When, as is said.
    pub at: SystemTime,
    /// What the body must hash to.
    pub digest: Sha256Digest,
    /// The signature's bytes.
    pub signature: Vec<u8>,
    text: String,
}

impl Signed {
    /// The signature of the request, `None` where it has none of its headers.
    ///
    /// # Errors
    /// It has some of them, and not all, one of them twice, or one makes no sense: which.
    pub fn read(parts: &request::Parts) -> Result<Option<Self>, String> {
        let headers = &parts.headers;
        if [WORKSPACE, SUBJECT, TIMESTAMP, SIGNATURE].iter().all(|name| !headers.contains_key(name))
        {
            return Ok(None);
        }
        let [workspace, subject, timestamp, digest, signature] = [
            one(headers, &WORKSPACE)?,
            one(headers, &SUBJECT)?,
            one(headers, &TIMESTAMP)?,
            one(headers, &DIGEST)?,
            one(headers, &SIGNATURE)?,
        ];
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let text = signed_text(parts.method.as_str(), path, workspace, subject, timestamp, digest);
        let millis: u64 =
            timestamp.parse().map_err(|_| format!("{TIMESTAMP} is no number of milliseconds"))?;
        let at = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(millis))
            .ok_or_else(|| format!("{TIMESTAMP} is beyond any calendar"))?;
        let base64 = digest.strip_prefix("sha-256=:").and_then(|text| text.strip_suffix(':'));
        let digest = base64
            .and_then(|text| BASE64_STANDARD.decode(text).ok())
            .and_then(|bytes| Sha256Digest::try_from(bytes).ok())
            .ok_or_else(|| format!("{DIGEST} is not `sha-256=:<Base64>:`"))?;
        let signature =
            BASE64_STANDARD.decode(signature).map_err(|_| format!("{SIGNATURE} is no Base64"))?;
        Ok(Some(Self {
            workspace: Uuid::try_parse(workspace).map_err(|_| format!("{WORKSPACE} is no UUID"))?,
            subject: subject.parse().map_err(|error| format!("{SUBJECT}: {error}"))?,
            at,
            digest,
            signature,
            text,
        }))
    }

    /// Whether the subject's key, as it follows from the workspace's `key`, made the signature.
    #[must_use]
    pub fn is_genuine(&self, key: &Key) -> bool {
        key.of(&self.subject).signed(self.text.as_bytes(), &self.signature)
    }
}

/// A header's text, where there is exactly one.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    match (value, values.next()) {
        (Some(value), None) => Ok(value),
        (None, None) => Err(format!("{name} is missing")),
        _ => Err(format!("{name} is there twice")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn workspace_key() -> Key {
        Key::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap()
    }

    fn credential(name: &str) -> Credential {
        let subject = Subject::Computer(name.to_owned());
        Credential { workspace: Uuid::nil(), key: workspace_key().of(&subject), subject }
    }

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
    }

    fn request(path: &str, headers: &[(HeaderName, String)]) -> request::Parts {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_key_follows_from_the_workspaces_and_the_subject() {
        let key = workspace_key();
        let computer = |name: &str| Subject::Computer(name.to_owned());
        // Kept: every agent that was ever enrolled has its key by this rule.
        assert_eq!(
            key.of(&computer("web-1")).to_base64(),
            "Zk0FDi8WBCHEiUl3njuW+3NMO1Lzt5kb0YgqWJXnTaU="
        );
        assert_ne!(key.of(&computer("web-1")), key.of(&computer("web-2")));
        assert_ne!(key.of(&computer("web-1")), key.of(&Subject::Group("web-1".to_owned())));
    }

    #[test]
    fn what_was_signed_is_genuine_and_whatever_is_changed_is_not() {
        let headers = credential("web-1").sign("POST", "/v1/scans?x=1", b"body", at());
        let signed = Signed::read(&request("/v1/scans?x=1", &headers)).unwrap().unwrap();
        assert!(signed.is_genuine(&workspace_key()));
        assert_eq!((&signed.subject, signed.at), (&credential("web-1").subject, at()));
        assert_eq!(signed.digest, Sha256Digest::from(Sha256::digest(b"body")));
        let other = Key::from_base64("ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=").unwrap();
        assert!(!signed.is_genuine(&other));

        let genuine = |path: &str, headers: &[(HeaderName, String)]| {
            Signed::read(&request(path, headers)).unwrap().unwrap().is_genuine(&workspace_key())
        };
        assert!(!genuine("/v1/scans?x=2", &headers) && !genuine("/v1/events?x=1", &headers));
        let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(b"other")));
        for (at, value) in [
            (0, Uuid::max().to_string()),
            (1, "urn:patchline:computer:web-2".to_owned()),
            (1, "urn:patchline:group:web-1".to_owned()),
            (2, "1700000000124".to_owned()),
            (3, digest),
            (4, BASE64_STANDARD.encode([0; 32])),
        ] {
            let mut changed = headers.clone();
            changed[at].1 = value;
            assert!(!genuine("/v1/scans?x=1", &changed), "{:?}", changed[at]);
        }
        let mut get = request("/v1/scans?x=1", &headers);
        get.method = axum::http::Method::GET;
        assert!(!Signed::read(&get).unwrap().unwrap().is_genuine(&workspace_key()));
    }

    #[test]
    fn half_a_signature_is_a_wrong_one_and_not_none() {
        assert_eq!(Signed::read(&request("/", &[])), Ok(None));
        let digest_alone = [(DIGEST, "sha-256=::".to_owned())];
        assert_eq!(Signed::read(&request("/", &digest_alone)), Ok(None), "anybody may send one");
        let headers = credential("web-1").sign("POST", "/", b"", at());
        for at in 0..headers.len() {
            let mut without = headers.to_vec();
            let (name, _) = without.remove(at);
            let error = Signed::read(&request("/", &without)).unwrap_err();
            assert!(error.contains(name.as_str()), "{error}");
            let mut twice = headers.to_vec();
            twice.push(headers[at].clone());
            assert!(Signed::read(&request("/", &twice)).unwrap_err().contains("twice"));
            let mut odd = headers.clone();
            "!".clone_into(&mut odd[at].1);
            assert!(Signed::read(&request("/", &odd)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let credential = credential("web-1");
        let shown = format!("{credential:?}");
        assert!(shown.contains("redacted") && !shown.contains(&credential.key.to_base64()));
    }
}
