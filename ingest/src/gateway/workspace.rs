//! Workspaces and their keys: whether a post to the HTTP Data Collector API is from whom it says.
//!
//! A post is signed over its length, its type and its date, not over its bytes, so that it is known to be
//! genuine or not from its headers alone: of one that is not, no byte of the body is read. Signatures are
//! compared in constant time. Keys are in no log and no error.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::config::WorkspaceConfig;
use super::problem::{Code, Problem, Reason};
pub use crate::security::Key;
use crate::security::proof::Signed;
use crate::security::reload::{Refresh, Reloading};

const DATE: HeaderName = HeaderName::from_static("x-ms-date");
const SCHEME: &str = "SharedKey ";

/// What is signed as the type where the header says more than this, `; charset=utf-8`, or where it is
/// missing: senders follow the published examples, which have just this.
const JSON: &str = "application/json";

/// What a post is signed with; always something, since HMAC takes keys of any length.
fn hmac(key: &Key, length: u64, content_type: &str, date: &str) -> Option<Hmac<Sha256>> {
    let mut hmac = key.hmac()?;
    let signed = format!("POST\n{length}\n{content_type}\nx-ms-date:{date}\n/api/logs");
    hmac.update(signed.as_bytes());
    Some(hmac)
}

/// A workspace that posts may be for.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) id: Uuid,
    keys: Arc<Reloading<Vec<Key>>>,
    closed: bool,
    slots: Semaphore,
}

impl Workspace {
    /// A place among the workspace's posts.
    pub(super) fn slot(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.slots.try_acquire().map_err(|_| {
            Problem::new(
                Reason::Throttled,
                "posts_in_flight_max posts of this workspace are being worked on; send it again later",
            )
        })
    }
}

/// All workspaces.
#[derive(Debug)]
pub(super) struct Workspaces {
    by_id: HashMap<Uuid, Workspace>,
    skew_max: Duration,
}

impl Workspaces {
    pub(super) fn new<'c>(
        configured: impl IntoIterator<Item = (impl std::fmt::Display, &'c WorkspaceConfig)>,
        clock_skew_max_s: u32,
    ) -> Result<Self, String> {
        let by_id = configured
            .into_iter()
            .map(|(name, config)| {
                let keys = keys(config).map_err(|error| format!("workspaces.{name}: {error}"))?;
                let workspace = Workspace {
                    id: config.id,
                    keys: Arc::new(keys),
                    closed: config.closed,
                    slots: Semaphore::new(config.posts_in_flight_max),
                };
                Ok((config.id, workspace))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { by_id, skew_max: Duration::from_secs(clock_skew_max_s.into()) })
    }

    /// Whether a subject of one of the workspaces signed that, by either of the workspace's keys.
    pub(super) fn has_signed(&self, signed: &Signed) -> bool {
        let workspace = self.by_id.get(&signed.workspace).filter(|workspace| !workspace.closed);
        workspace
            .is_some_and(|workspace| workspace.keys.get().iter().any(|key| signed.is_genuine(key)))
    }

    /// Their keys, which are read again when they change.
    pub(super) fn keys(&self) -> impl Iterator<Item = Arc<dyn Refresh>> {
        self.by_id.values().map(|workspace| Arc::clone(&workspace.keys) as Arc<dyn Refresh>)
    }

    /// Who signed a post of `length` bytes with these headers, and the date that it is signed with.
    ///
    /// # Errors
    /// 403: nobody that is known here, or not now. 400: no workspace's id, or a closed workspace.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        length: u64,
        now: SystemTime,
    ) -> Result<(&Workspace, SystemTime), Problem> {
        let authorization = text(headers, &header::AUTHORIZATION)
            .ok_or_else(|| forbidden("there is no Authorization"))?;
        let (id, signature) = authorization
            .get(..SCHEME.len())
            .filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
            .and_then(|scheme| authorization.get(scheme.len()..)?.split_once(':'))
            .ok_or_else(|| forbidden("Authorization is not `SharedKey <workspace>:<signature>`"))?;
        let id = Uuid::try_parse(id.trim()).map_err(|_| {
            let problem = "the workspace in Authorization is no UUID";
            Problem::new(Reason::Invalid, problem).coded(Code::InvalidCustomerId)
        })?;
        let date = text(headers, &DATE).ok_or_else(|| forbidden("there is no x-ms-date"))?;
        let signed_at = httpdate::parse_http_date(date)
            .map_err(|_| forbidden("x-ms-date is no date of RFC 1123"))?;
        // Said alike whether the workspace, the key or the signature is wrong: the difference is nobody's
        // business.
        let wrong =
            || forbidden("the workspace is not known here, or the signature is not its own");
        let workspace = self.by_id.get(&id).ok_or_else(wrong)?;
        let signature = BASE64_STANDARD.decode(signature.trim()).map_err(|_| wrong())?;
        let sent_type = text(headers, &header::CONTENT_TYPE).unwrap_or(JSON);
        let genuine = workspace.keys.get().iter().any(|key| {
            [sent_type, JSON].iter().any(|content_type| {
                hmac(key, length, content_type, date)
                    .is_some_and(|hmac| hmac.verify_slice(&signature).is_ok())
            })
        });
        if !genuine {
            return Err(wrong());
        }
        let skew = now.duration_since(signed_at).unwrap_or_else(|ahead| ahead.duration());
        if skew > self.skew_max {
            let problem = format!(
                "x-ms-date is {} s off, at most {} are allowed (collector.clock_skew_max_s)",
                skew.as_secs(),
                self.skew_max.as_secs()
            );
            return Err(forbidden(problem));
        }
        if workspace.closed {
            let problem = Problem::new(Reason::Invalid, "the workspace is closed");
            return Err(problem.coded(Code::InactiveCustomer));
        }
        Ok((workspace, signed_at))
    }
}

/// Either of the workspace's keys may be in a file, and both are good.
fn keys(config: &WorkspaceConfig) -> Result<Reloading<Vec<Key>>, String> {
    let files = [&config.primary_key_file, &config.secondary_key_file].into_iter().flatten();
    let fixed: Vec<Key> =
        [&config.primary_key, &config.secondary_key].into_iter().flatten().cloned().collect();
    Reloading::open("workspace-keys", files.cloned().collect(), move |contents| {
        let mut keys = fixed.clone();
        for text in contents {
            keys.push(Key::from_base64(&String::from_utf8_lossy(text))?);
        }
        Ok(keys)
    })
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(Reason::Forbidden, detail)
}

/// A header's text; `None` too where there are several of it.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
pub(super) fn sign(key: &str, length: u64, content_type: &str, date: &str) -> String {
    let key = Key::from_base64(key).unwrap();
    let hmac = hmac(&key, length, content_type, date).unwrap();
    BASE64_STANDARD.encode(hmac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const OTHER_KEY: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    const DAY: &str = "Mon, 04 Apr 2016 08:00:00 GMT";
    const ID: Uuid = Uuid::from_u128(0x6f1f_3b1c_7c5e_4a57_8a43_0d2a_3c1f_9e10);

    fn workspaces(change: impl FnOnce(&mut WorkspaceConfig)) -> Workspaces {
        let mut config = WorkspaceConfig {
            primary_key: Some(Key::from_base64(KEY).unwrap()),
            posts_in_flight_max: 1,
            ..WorkspaceConfig::of(ID)
        };
        change(&mut config);
        Workspaces::new([("main", &config)], 900).unwrap()
    }

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        };
        set(header::AUTHORIZATION, &format!("SharedKey {ID}:{signature}"));
        set(header::CONTENT_TYPE, JSON);
        set(DATE, DAY);
        headers
    }

    fn at_date() -> SystemTime {
        httpdate::parse_http_date(DAY).unwrap()
    }

    #[test]
    fn a_signature_is_the_published_one() {
        assert_eq!(sign(KEY, 1024, JSON, DAY), "rMoVf9OAAVQU+RTRgO9GQOxWZzlOmtlVQV6VV5+bUg0=");
    }

    #[test]
    fn only_who_has_a_key_is_let_in() {
        let known = workspaces(|_| {});
        let good = headers(&sign(KEY, 1024, JSON, DAY));
        let (workspace, signed_at) = known.authenticate(&good, 1024, at_date()).unwrap();
        assert_eq!((workspace.id, signed_at), (ID, at_date()));

        let refused = |headers: &HeaderMap, length| {
            known.authenticate(headers, length, at_date()).unwrap_err().reason
        };
        assert_eq!(refused(&good, 1023), Reason::Forbidden, "another length");
        for signature in ["", "nonsense", &sign(OTHER_KEY, 1024, JSON, DAY)] {
            assert_eq!(refused(&headers(signature), 1024), Reason::Forbidden, "{signature}");
        }
        for name in [header::AUTHORIZATION, DATE] {
            let mut without = good.clone();
            without.remove(&name);
            assert_eq!(refused(&without, 1024), Reason::Forbidden, "{name}");
            let mut twice = good.clone();
            twice.append(&name, good[&name].clone());
            assert_eq!(refused(&twice, 1024), Reason::Forbidden, "{name} twice");
        }
        let mut stranger = good.clone();
        let unknown = format!("SharedKey {}:{}", Uuid::nil(), sign(KEY, 1024, JSON, DAY));
        stranger.insert(header::AUTHORIZATION, unknown.parse().unwrap());
        assert_eq!(refused(&stranger, 1024), Reason::Forbidden);
        stranger.insert(header::AUTHORIZATION, "SharedKey contoso:x".parse().unwrap());
        let problem = known.authenticate(&stranger, 1024, at_date()).unwrap_err();
        assert_eq!(problem.code, Some(Code::InvalidCustomerId));
    }

    #[test]
    fn either_key_and_either_spelling_of_the_type_will_do() {
        let known = workspaces(|config| {
            config.secondary_key = Some(Key::from_base64(OTHER_KEY).unwrap());
        });
        for key in [KEY, OTHER_KEY] {
            assert!(known.authenticate(&headers(&sign(key, 9, JSON, DAY)), 9, at_date()).is_ok());
        }
        let long = "application/json; charset=utf-8";
        for signed in [JSON, long] {
            let mut headers = headers(&sign(KEY, 9, signed, DAY));
            headers.insert(header::CONTENT_TYPE, long.parse().unwrap());
            assert!(known.authenticate(&headers, 9, at_date()).is_ok(), "{signed}");
        }
    }

    #[test]
    fn a_post_kept_for_later_is_refused() {
        let known = workspaces(|_| {});
        let headers = headers(&sign(KEY, 9, JSON, DAY));
        for (seconds, taken) in [(900, true), (901, false)] {
            let skew = Duration::from_secs(seconds);
            for now in [at_date() + skew, at_date() - skew] {
                assert_eq!(known.authenticate(&headers, 9, now).is_ok(), taken, "{seconds} s");
            }
        }
    }

    #[test]
    fn a_closed_workspace_says_so_to_its_own_senders_only() {
        let known = workspaces(|config| config.closed = true);
        let code = |signature: &str| {
            known.authenticate(&headers(signature), 9, at_date()).unwrap_err().code
        };
        assert_eq!(code(&sign(KEY, 9, JSON, DAY)), Some(Code::InactiveCustomer));
        assert_eq!(code(&sign(OTHER_KEY, 9, JSON, DAY)), None);
    }

    #[test]
    fn a_workspace_has_so_many_places_and_no_more() {
        let known = workspaces(|_| {});
        let workspace = &known.by_id[&ID];
        let slot = workspace.slot().unwrap();
        assert_eq!(workspace.slot().unwrap_err().reason, Reason::Throttled);
        drop(slot);
        assert!(workspace.slot().is_ok());
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::from_base64(KEY).unwrap();
        let config = WorkspaceConfig { primary_key: Some(key), ..WorkspaceConfig::of(ID) };
        let shown = format!("{config:?}");
        assert!(shown.contains("redacted"));
        assert!(!shown.contains("0123456789") && !shown.contains(KEY));
        for bad in ["not Base64: hunter2!", "c2hvcnQ="] {
            let error = Key::from_base64(bad).unwrap_err();
            assert!(!error.contains(bad) && !error.contains("hunter2"), "{error}");
        }
    }
}
