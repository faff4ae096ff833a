//! Judges a request's sender from its headers and its connection, before a byte of its body is read.
//!
//! In order, the cheapest refusal first: is there a proof, and a whole one; does it fit this moment; is it
//! genuine; is its subject still welcome; was it seen before; does its sender send too much. What comes out
//! is a [`Sender`], which says later, report by report, whether it may report that.
//!
//! | proof | |
//! |---|---|
//! | a signature by the subject's key ([`crate::security::proof`]) | counts where there is one, also beside a certificate |
//! | the connection's client certificate ([`crate::security::tls`]) | |
//! | the HTTP Data Collector API's `SharedKey` | `workspace` judges it; speaks for its whole workspace |
//! | none | refused where `gateway.require_identity` is set; else an open gateway, as for the local stack |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::request;
use patchline_schemas::Timestamp;
use prometheus::{IntCounterVec, Opts, Registry};
use uuid::Uuid;

use super::config::Config;
use super::problem::{Problem, Reason};
use super::server::Peer;
use super::workspace::Workspaces;
use crate::groups::{Directory, Group, Groups};
use crate::security::limits::Buckets;
use crate::security::proof::{Sha256Digest, Signed};
use crate::security::{Seen, Subject};

/// Signatures remembered in each of two generations: some 7 MB in all. With 10,000 agents that send a
/// heartbeat a minute, a window of ten minutes has 100,000.
const SEEN_MAX: usize = 128 * 1024;

/// Senders whose rate is followed at a time: some 10 MB.
const BUCKETS_MAX: usize = 128 * 1024;

/// What the guard counts.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Certificates, keys and groups that were read again, by what and outcome.
    pub(super) reloads: IntCounterVec,
    /// Connections that failed before their first request, by reason.
    pub(super) handshakes_failed: IntCounterVec,
}

impl Counts {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("patchline_gateway_{name}"), help);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(opts(name, help), labels)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        Ok(Self {
            reloads: counters(
                "reloads_total",
                "Changed files that were read again: renewed, or kept as before since they make no sense.",
                &["what", "outcome"],
            )?,
            handshakes_failed: counters(
                "handshakes_failed_total",
                "TLS connections that failed before their first request.",
                &["reason"],
            )?,
        })
    }
}

/// Who sent a request, as far as is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// Nobody in particular: the gateway is open.
    Anyone,
    /// Somebody with the workspace's own key.
    Workspace,
    /// Whom the proof names.
    Known(Subject),
}

/// A request's sender, judged.
#[derive(Debug)]
pub(super) struct Sender {
    who: Who,
    /// The workspace whose key the sender's follows from.
    workspace: Option<String>,
    /// The group that its reports belong to.
    group: Option<Arc<Group>>,
    /// `AOI-<workspace>`, for reports that belong to no group.
    direct: String,
    /// What the body on the wire must hash to.
    pub(super) digest: Option<Sha256Digest>,
}

impl Sender {
    /// Somebody at an open gateway that acts for no group.
    #[cfg(test)]
    pub(super) const fn anyone() -> Self {
        Self { who: Who::Anyone, workspace: None, group: None, direct: String::new(), digest: None }
    }

    /// The management group and the workspace that its reports belong to, where they are not the
    /// gateway's own.
    pub(super) fn belongs_to(&self) -> Option<(&str, &str)> {
        match (&self.group, &self.workspace) {
            (Some(group), _) => Some((&group.name, &group.workspace)),
            (None, Some(workspace)) => Some((&self.direct, workspace)),
            (None, None) => None,
        }
    }

    /// The group, where its reports belong to one.
    pub(super) fn group(&self) -> Option<&str> {
        self.group.as_deref().map(|group| &*group.name)
    }

    /// The computer's id, where the sender is one computer.
    pub(super) fn computer_id(&self) -> Option<&str> {
        match &self.who {
            Who::Known(Subject::Computer(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether it may relay what others sent to another gateway. For the relay's route.
    pub(super) fn is_gateway(&self) -> bool {
        matches!(&self.who, Who::Anyone | Who::Workspace | Who::Known(Subject::Gateway(_)))
    }

    /// Whether it may report on the computer with that `id` and `name`; `None`: on no computer.
    pub(super) fn check(&self, computer: Option<(&str, &str)>) -> Result<(), Problem> {
        let Some((id, name)) = computer else {
            return match &self.who {
                Who::Anyone | Who::Workspace | Who::Known(Subject::Gateway(_)) => Ok(()),
                Who::Known(subject) => {
                    Err(forbidden(format!("{subject} may report on computers only")))
                }
            };
        };
        if let Who::Known(Subject::Computer(own)) = &self.who
            && !is_same(own, id)
        {
            let problem =
                format!("the request is from the computer `{own}`, this report is of another");
            return Err(forbidden(problem).in_field("SourceComputerId"));
        }
        match &self.group {
            Some(group) if !group.allows(id, name) => {
                let problem =
                    format!("the management group {} does not list this computer", group.name);
                Err(forbidden(problem).in_field("Computer"))
            }
            _ => Ok(()),
        }
    }
}

/// Judges senders.
pub(super) struct Guard {
    require_identity: bool,
    acts_for: Option<String>,
    skew_max: Duration,
    groups: Groups,
    seen: Mutex<Seen>,
    computers: Buckets<(Option<Uuid>, String)>,
    workspaces: Buckets<Option<Uuid>>,
}

impl Guard {
    pub(super) fn new(config: &Config, groups: Groups) -> Result<Self, String> {
        let gateway = &config.gateway;
        if let Some(name) = &gateway.acts_for
            && groups.directory().group(name).is_none()
        {
            return Err(format!("gateway.acts_for = \"{name}\" is not in gateway.groups_file"));
        }
        let skew_max = Duration::from_secs(gateway.signature_skew_max_s.into());
        let limits = config.limits;
        Ok(Self {
            require_identity: gateway.require_identity,
            acts_for: gateway.acts_for.clone(),
            skew_max,
            groups,
            // A timestamp that is ahead by the most there may be is good for twice that long.
            seen: Mutex::new(Seen::new(skew_max * 2, SEEN_MAX)),
            computers: Buckets::new(
                limits.computer_requests_per_minute,
                limits.computer_requests_burst,
                BUCKETS_MAX,
            ),
            workspaces: Buckets::new(
                limits.workspace_requests_per_minute,
                limits.workspace_requests_burst,
                BUCKETS_MAX,
            ),
        })
    }

    /// Judges a request. `workspace` has signed it by the HTTP Data Collector API's rule, if any has.
    ///
    /// # Errors
    /// 403: there is no proof where one is needed, or it is not good. 429: too much of this sender.
    pub(super) fn admit(
        &self,
        parts: &request::Parts,
        workspaces: &Workspaces,
        workspace: Option<Uuid>,
        now: SystemTime,
    ) -> Result<Sender, Problem> {
        let signed = Signed::read(parts).map_err(forbidden)?;
        let certified = parts.extensions.get::<Peer>().and_then(|peer| peer.subject.as_deref());
        let (who, of, digest) = match (workspace, signed, certified) {
            (Some(id), ..) => (Who::Workspace, Some(id), None),
            (None, Some(signed), _) => {
                self.check_signature(&signed, workspaces, now)?;
                (Who::Known(signed.subject), Some(signed.workspace), Some(signed.digest))
            }
            (None, None, Some(Ok(subject))) => (Who::Known(subject.clone()), None, None),
            (None, None, Some(Err(problem))) => return Err(forbidden(problem.clone())),
            (None, None, None) if self.require_identity => {
                let problem = "there is no proof of who sends this: sign it, or connect with a client certificate (gateway.require_identity)";
                return Err(forbidden(problem));
            }
            (None, None, None) => (Who::Anyone, None, None),
        };
        let directory = self.groups.directory();
        if let Who::Known(subject) = &who
            && directory.is_revoked(subject)
        {
            return Err(forbidden(format!("{subject} is revoked")));
        }
        let sender = Sender {
            group: self.group_of(&who, of, &directory)?,
            direct: of.map(|id| format!("AOI-{id}")).unwrap_or_default(),
            workspace: of.map(|id| id.to_string()),
            who,
            digest,
        };
        self.check_rate(&sender, of)?;
        Ok(sender)
    }

    fn check_signature(
        &self,
        signed: &Signed,
        workspaces: &Workspaces,
        now: SystemTime,
    ) -> Result<(), Problem> {
        let skew = now.duration_since(signed.at).unwrap_or_else(|ahead| ahead.duration());
        if skew > self.skew_max {
            let problem = format!(
                "the signature's timestamp is {} s off, at most {} are allowed (gateway.signature_skew_max_s)",
                skew.as_secs(),
                self.skew_max.as_secs()
            );
            return Err(forbidden(problem));
        }
        if !workspaces.has_signed(signed) {
            // Alike whatever is wrong: the difference is nobody's business.
            return Err(forbidden(
                "the workspace is not known here, or the signature is not this subject's",
            ));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.is_new(&signed.signature, now) {
            return Err(forbidden("this request was here before; sign each attempt anew"));
        }
        Ok(())
    }

    fn group_of(
        &self,
        who: &Who,
        workspace: Option<Uuid>,
        directory: &Directory,
    ) -> Result<Option<Arc<Group>>, Problem> {
        let name = match (who, &self.acts_for) {
            (Who::Known(Subject::Group(name)), Some(own)) if name != own => {
                let problem = format!("this gateway acts for the management group {own}");
                return Err(forbidden(problem));
            }
            (Who::Known(Subject::Group(name)), _) | (_, Some(name)) => name,
            _ => return Ok(None),
        };
        let group = directory
            .group(name)
            .ok_or_else(|| forbidden(format!("the management group {name} is not known here")))?;
        // One workspace at a time: another one's key does not speak for this group.
        if workspace.is_some_and(|id| id.to_string() != group.workspace) {
            let problem = format!("the management group {name} belongs to another workspace");
            return Err(forbidden(problem));
        }
        Ok(Some(Arc::clone(group)))
    }

    fn check_rate(&self, sender: &Sender, workspace: Option<Uuid>) -> Result<(), Problem> {
        let now = Instant::now();
        if let Some(id) = sender.computer_id() {
            self.computers
                .take(&(workspace, id.to_owned()), now)
                .map_err(|wait| throttled("this computer", "computer", wait))?;
        }
        if sender.who != Who::Anyone {
            self.workspaces
                .take(&workspace, now)
                .map_err(|wait| throttled("this workspace", "workspace", wait))?;
        }
        Ok(())
    }

    /// Notes that reports of the computers `ids`, sent by `sender`, are durable.
    pub(super) fn taken(&self, sender: &Sender, ids: &[String], now: Timestamp) {
        if let Some(group) = sender.group() {
            self.groups.note(group, ids.iter().map(String::as_str), now);
        }
    }
}

/// Whether two ids are one computer's: a GUID is the same in capitals.
fn is_same(own: &str, id: &str) -> bool {
    own == id || (own.eq_ignore_ascii_case(id) && Uuid::try_parse(own).is_ok())
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(Reason::Forbidden, detail)
}

fn throttled(whose: &str, setting: &str, wait: Duration) -> Problem {
    let problem = format!(
        "{whose} sends more than limits.{setting}_requests_per_minute; send it again later"
    );
    Problem::new(Reason::Throttled, problem).after(wait)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, Request};

    use super::*;
    use crate::gateway::WorkspaceConfig;
    use crate::security::{Credential, Key};

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const ID: Uuid = Uuid::from_u128(0x6f1f_3b1c_7c5e_4a57_8a43_0d2a_3c1f_9e10);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    struct Gate {
        guard: Guard,
        workspaces: Workspaces,
        file: std::path::PathBuf,
    }

    impl Gate {
        fn new(name: &str, change: impl FnOnce(&mut Config)) -> Self {
            let file =
                std::env::temp_dir().join(format!("patchline-{name}-{}", std::process::id()));
            let groups = format!(
                "revoked = [\"urn:patchline:computer:stolen\"]\n[groups.contoso]\nworkspace = \"{ID}\"\ncomputers = [\"web-*\"]\n\
                 [groups.other]\nworkspace = \"{}\"\n",
                Uuid::max()
            );
            std::fs::write(&file, groups).unwrap();
            let mut config = Config::default();
            config.gateway.require_identity = true;
            config.gateway.groups_file = Some(file.clone());
            change(&mut config);
            let workspace = WorkspaceConfig { primary_key: Some(key()), ..WorkspaceConfig::of(ID) };
            let workspaces = Workspaces::new([("main", &workspace)], 900).unwrap();
            let groups = Groups::open(Some(&file)).unwrap();
            Self { guard: Guard::new(&config, groups).unwrap(), workspaces, file }
        }

        fn admit(
            &self,
            headers: &[(HeaderName, String)],
            now: SystemTime,
        ) -> Result<Sender, Problem> {
            let mut request = Request::post("/v1/scans");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            self.guard.admit(&parts, &self.workspaces, None, now)
        }

        fn signed(&self, subject: &str, second: u64) -> Result<Sender, Problem> {
            self.admit(&sign(subject, b"", second), at(second))
        }
    }

    impl Drop for Gate {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.file);
        }
    }

    fn key() -> Key {
        Key::from_base64(KEY).unwrap()
    }

    fn sign(subject: &str, body: &[u8], second: u64) -> [(HeaderName, String); 5] {
        let subject: Subject = format!("urn:patchline:{subject}").parse().unwrap();
        let credential = Credential { workspace: ID, key: key().of(&subject), subject };
        credential.sign("POST", "/v1/scans", body, at(second))
    }

    #[test]
    fn nobody_without_a_proof_is_let_in_where_one_is_needed() {
        let closed = Gate::new("closed", |_| {});
        assert_eq!(closed.admit(&[], at(0)).unwrap_err().reason, Reason::Forbidden);
        let open = Gate::new("open", |config| config.gateway.require_identity = false);
        assert_eq!(open.admit(&[], at(0)).unwrap().who, Who::Anyone);
        let mut wrong = sign("computer:a", b"", 0);
        wrong[4].1 = "AAAA".to_owned();
        assert_eq!(
            open.admit(&wrong, at(0)).unwrap_err().reason,
            Reason::Forbidden,
            "a wrong one is none"
        );
    }

    #[test]
    fn one_computer_cannot_report_for_another() {
        let gate = Gate::new("another", |_| {});
        let sender = gate.signed("computer:a", 0).unwrap();
        assert_eq!(sender.check(Some(("a", "whatever"))), Ok(()));
        for id in ["b", "A", "", "a "] {
            let problem = sender.check(Some((id, "a"))).unwrap_err();
            assert_eq!(problem.reason, Reason::Forbidden, "{id}");
        }
        assert!(sender.check(None).is_err(), "nor for the workspace");
        assert_eq!(sender.belongs_to(), Some((&*format!("AOI-{ID}"), &*ID.to_string())));
        assert_eq!(gate.signed("computer:stolen", 1).unwrap_err().reason, Reason::Forbidden);
    }

    #[test]
    fn a_group_speaks_for_the_computers_on_its_list_and_a_gateway_for_all() {
        let gate = Gate::new("group", |_| {});
        let group = gate.signed("group:contoso", 0).unwrap();
        assert_eq!(group.belongs_to(), Some(("contoso", &*ID.to_string())));
        assert_eq!(group.check(Some(("any", "web-1"))), Ok(()));
        assert!(group.check(Some(("any", "db-1"))).is_err() && group.check(None).is_err());
        assert!(!group.is_gateway());
        assert!(gate.signed("group:unheard", 1).is_err());
        assert!(gate.signed("group:other", 2).is_err(), "that is another workspace's");
        let relay = gate.signed("gateway:edge", 3).unwrap();
        assert!(relay.is_gateway() && relay.check(Some(("any", "db-1"))).is_ok());
        assert!(relay.check(None).is_ok());
    }

    #[test]
    fn a_gateway_that_acts_for_a_group_takes_its_computers_only() {
        let gate = Gate::new("acts", |config| {
            config.gateway.acts_for = Some("contoso".to_owned());
            config.gateway.require_identity = false;
        });
        for sender in [gate.admit(&[], at(0)).unwrap(), gate.signed("computer:a", 0).unwrap()] {
            assert_eq!(sender.group(), Some("contoso"));
            assert!(
                sender.check(Some(("a", "web-1"))).is_ok()
                    && sender.check(Some(("a", "db-1"))).is_err()
            );
        }
        assert!(gate.signed("group:other", 1).is_err());
    }

    #[test]
    fn a_request_that_is_sent_again_as_it_was_is_refused_in_the_window_and_after_it() {
        let gate = Gate::new("replay", |_| {});
        let request = sign("computer:a", b"", 0);
        assert!(gate.admit(&request, at(0)).is_ok());
        for later in [0, 1, 299, 300, 301, 10_000] {
            let problem = gate.admit(&request, at(later)).unwrap_err();
            assert_eq!(problem.reason, Reason::Forbidden, "{later} s later");
        }
        let early = sign("computer:a", b"", 1000);
        assert!(gate.admit(&early, at(699)).is_err(), "301 s ahead");
        assert!(gate.admit(&early, at(700)).is_ok(), "300 s ahead");
        assert!(gate.admit(&early, at(1300)).is_err(), "the last second it would be good in");
    }

    #[test]
    fn who_sends_too_much_is_told_how_long_to_wait() {
        let gate = Gate::new("rate", |config| {
            config.limits.computer_requests_per_minute = 1;
            config.limits.computer_requests_burst = 2;
        });
        assert!(gate.signed("computer:a", 0).is_ok() && gate.signed("computer:a", 1).is_ok());
        let problem = gate.signed("computer:a", 2).unwrap_err();
        assert_eq!(problem.reason, Reason::Throttled);
        assert!((59..=60).contains(&problem.retry_after_s.unwrap()), "{problem:?}");
        assert!(gate.signed("computer:b", 3).is_ok(), "another computer is not held up");
        let workspace = Gate::new("rate-all", |config| {
            config.limits.workspace_requests_per_minute = 1;
            config.limits.workspace_requests_burst = 2;
        });
        assert!(
            workspace.signed("computer:a", 0).is_ok() && workspace.signed("computer:b", 0).is_ok()
        );
        assert_eq!(workspace.signed("computer:c", 0).unwrap_err().reason, Reason::Throttled);
    }
}
