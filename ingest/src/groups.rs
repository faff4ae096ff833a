//! Management groups: which computers each may speak for, and what was heard of them.
//!
//! One file, managed centrally and read again when it changes:
//!
//! ```toml
//! # Subjects whose credentials are no longer good.
//! revoked = ["urn:patchline:computer:5c0a7d6e-11f0-4a55-9d25-3f1c2f0c9a01"]
//!
//! [computer_groups]
//! databases = ["db-*.contoso.com", "ledger.contoso.com"]
//!
//! [groups.contoso]
//! workspace = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10"
//! computers = ["web-?.contoso.com", "@databases"]
//! ids = ["5c0a7d6e-11f0-4a55-9d25-3f1c2f0c9a01"]
//! ```
//!
//! `computers` are names, compared without regard to case, with `*` for any characters and `?` for one;
//! `@` stands for a computer group. A name is what a report says; `ids` are `SourceComputerId`s, exactly.
//! A computer is allowed by either.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use patchline_schemas::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::security::Subject;
use crate::security::reload::{Refresh, Refreshed, Reloading};

/// Computers of one group that are told apart; of more, the number is a lower bound.
const AGENTS_MAX: usize = 100_000;

/// How long after its last report an agent counts as connected: heartbeats come each minute.
pub const CONNECTED_WITHIN_MINUTES: u32 = 15;

/// The file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    revoked: Vec<String>,
    computer_groups: BTreeMap<String, Vec<String>>,
    groups: BTreeMap<String, WrittenGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    workspace: Uuid,
    #[serde(default)]
    computers: Vec<String>,
    #[serde(default)]
    ids: Vec<String>,
}

/// All groups, as of one content of the file.
#[derive(Debug, Default)]
pub struct Directory {
    revoked: HashSet<Subject>,
    groups: BTreeMap<String, Arc<Group>>,
}

/// One management group.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Its `ManagementGroupName`.
    pub name: String,
    /// The workspace that it is connected to.
    pub workspace: String,
    ids: HashSet<String>,
    names: HashSet<String>,
    patterns: Vec<String>,
}

impl Directory {
    /// Reads the file's text.
    ///
    /// # Errors
    /// It is not what the module's page shows: where.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| format!("no UTF-8: {error}"))?;
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        let revoked = written.revoked.iter().map(|text| text.parse::<Subject>());
        let revoked =
            revoked.collect::<Result<_, _>>().map_err(|error| format!("revoked: {error}"))?;
        let mut groups = BTreeMap::new();
        for (name, group) in written.groups {
            let mut made = Group {
                name: name.clone(),
                workspace: group.workspace.to_string(),
                ids: group.ids.into_iter().collect(),
                names: HashSet::new(),
                patterns: Vec::new(),
            };
            for computer in &group.computers {
                match computer.strip_prefix('@') {
                    None => made.allow(computer),
                    Some(computers) => {
                        let members = written.computer_groups.get(computers).ok_or_else(|| {
                            format!(
                                "groups.{name}.computers: there is no [computer_groups] {computers}"
                            )
                        })?;
                        members.iter().for_each(|member| made.allow(member));
                    }
                }
            }
            groups.insert(name, Arc::new(made));
        }
        Ok(Self { revoked, groups })
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Whether `subject`'s credentials are no longer good.
    #[must_use]
    pub fn is_revoked(&self, subject: &Subject) -> bool {
        self.revoked.contains(subject)
    }
}

impl Group {
    fn allow(&mut self, computer: &str) {
        let computer = computer.to_lowercase();
        if computer.contains(['*', '?']) {
            self.patterns.push(computer);
        } else {
            self.names.insert(computer);
        }
    }

    /// Whether the computer with that id and name belongs to it.
    #[must_use]
    pub fn allows(&self, id: &str, name: &str) -> bool {
        if self.ids.contains(id) {
            return true;
        }
        let name = name.to_lowercase();
        self.names.contains(&name) || self.patterns.iter().any(|pattern| matches(pattern, &name))
    }
}

/// Whether `pattern`, in which `*` is any text and `?` any character, is the whole of `text`. Time is at
/// most their lengths' product.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut matched) = (0, 0);
    // Where to go on if what follows the last star does not match: one character later.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(char) = text.get(matched) {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                retry = Some((at, matched));
            }
            Some(wanted) if *wanted == '?' || wanted == char => {
                at += 1;
                matched += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    (at, matched) = (after_star, from + 1);
                    retry = Some((after_star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

/// The groups of a gateway: the file as it is in force, and what was heard of each.
#[derive(Clone)]
pub struct Groups(Arc<Inner>);

struct Inner {
    directory: Reloading<Directory>,
    heard: Heard,
    agents: IntGaugeVec,
    last_data: IntGaugeVec,
}

impl Groups {
    /// Those of `file`; without one there are none.
    ///
    /// # Errors
    /// The file cannot be read or makes no sense.
    pub fn open(file: Option<&Path>) -> Result<Self, String> {
        let directory =
            Reloading::open("groups", file.map(Path::to_owned).into_iter().collect(), |contents| {
                contents.first().map_or(Ok(Directory::default()), |text| Directory::parse(text))
            })
            .map_err(|error| format!("gateway.groups_file: {error}"))?;
        let gauges = |name: &str, help: &str| {
            let opts = Opts::new(format!("patchline_gateway_group_{name}"), help);
            IntGaugeVec::new(opts, &["group"]).map_err(|error| error.to_string())
        };
        Ok(Self(Arc::new(Inner {
            directory,
            heard: Heard::default(),
            agents: gauges("agents", "Computers of a management group heard of lately.")?,
            last_data: gauges(
                "last_data_timestamp_seconds",
                "When the last report of a management group became durable; 0 before the first.",
            )?,
        })))
    }

    /// The file, as it is in force.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.0.directory.get()
    }

    /// Notes reports of the computers `ids` of `group`, durable by `now`.
    pub fn note<'i>(&self, group: &str, ids: impl IntoIterator<Item = &'i str>, now: Timestamp) {
        self.0.heard.note(group, ids, now);
    }

    /// What was heard of each.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.0.heard.status(&self.directory(), Timestamp::now())
    }

    /// The operators' page: `GET /groups`, JSON where it is asked for, else HTML.
    pub fn router(&self) -> axum::Router {
        let show = async |State(groups): State<Self>, headers: HeaderMap| -> Response {
            let asked = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let status = groups.status();
            let (kind, text) = if asked.is_some_and(|kinds| kinds.contains("application/json")) {
                ("application/json", serde_json::to_string(&status).unwrap_or_default())
            } else {
                ("text/html; charset=utf-8", page(&status))
            };
            ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
        };
        axum::Router::new().route("/groups", get(show)).with_state(self.clone())
    }
}

impl Refresh for Groups {
    fn what(&self) -> &'static str {
        self.0.directory.what()
    }

    fn refresh(&self) -> Refreshed {
        self.0.directory.refresh()
    }
}

/// Worked out when somebody asks: agents cease to be connected by doing nothing.
impl Collector for Groups {
    fn desc(&self) -> Vec<&Desc> {
        [self.0.agents.desc(), self.0.last_data.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for group in self.status() {
            let agents = i64::try_from(group.connected_agents).unwrap_or(i64::MAX);
            self.0.agents.with_label_values(&[&group.name]).set(agents);
            self.0.last_data.with_label_values(&[&group.name]).set(group.last_data_ms / 1000);
        }
        [self.0.agents.collect(), self.0.last_data.collect()].concat()
    }
}

/// What was heard of the groups, as the operators' page shows it.
#[derive(Debug, Default)]
struct Heard(Mutex<BTreeMap<String, OfGroup>>);

#[derive(Debug, Default)]
struct OfGroup {
    /// The minute in which each computer was heard of last, by a hash of its id.
    agents: HashMap<u64, u32>,
    last_data: Option<Timestamp>,
    reports: u64,
}

/// One line of that page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `ManagementGroupName`.
    pub name: String,
    /// Its workspace; none for a group that is no longer in the file.
    pub workspace: Option<String>,
    /// Computers heard of within [`CONNECTED_WITHIN_MINUTES`].
    pub connected_agents: usize,
    /// When the last report of it was made durable.
    pub last_data: Option<String>,
    /// Reports since the gateway's start.
    pub reports: u64,
    /// The same moment, for the metric.
    #[serde(skip)]
    pub last_data_ms: i64,
}

impl Heard {
    fn note<'i>(&self, group: &str, ids: impl IntoIterator<Item = &'i str>, now: Timestamp) {
        let minute = minute(now);
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.contains_key(group) {
            heard.insert(group.to_owned(), OfGroup::default());
        }
        let Some(of_group) = heard.get_mut(group) else { return };
        for id in ids {
            of_group.reports += 1;
            of_group.last_data = of_group.last_data.max(Some(now));
            let agent = hash(id);
            if of_group.agents.len() >= AGENTS_MAX && !of_group.agents.contains_key(&agent) {
                of_group.agents.retain(|_, last| is_connected(*last, minute));
                if of_group.agents.len() >= AGENTS_MAX {
                    continue;
                }
            }
            of_group.agents.insert(agent, minute);
        }
    }

    /// The groups of `directory`, and those that were heard of before they were taken out of it.
    fn status(&self, directory: &Directory, now: Timestamp) -> Vec<Status> {
        let minute = minute(now);
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in directory.names() {
            if !heard.contains_key(name) {
                heard.insert(name.to_owned(), OfGroup::default());
            }
        }
        let line = |(name, of_group): (&String, &mut OfGroup)| {
            of_group.agents.retain(|_, last| is_connected(*last, minute));
            Status {
                name: name.clone(),
                workspace: directory.group(name).map(|group| group.workspace.clone()),
                connected_agents: of_group.agents.len(),
                last_data: of_group.last_data.map(|time| time.to_string()),
                reports: of_group.reports,
                last_data_ms: of_group.last_data.map_or(0, |time| time.0),
            }
        };
        heard.iter_mut().map(line).collect()
    }
}

fn minute(now: Timestamp) -> u32 {
    u32::try_from(now.0 / 60_000).unwrap_or_default()
}

fn is_connected(last: u32, now: u32) -> bool {
    now.saturating_sub(last) < CONNECTED_WITHIN_MINUTES
}

/// Of two computers with one hash one would not be counted; nobody can make such ids on purpose.
fn hash(id: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(id).into();
    hash.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// The page for people: "1 management group connected", and a table.
#[must_use]
pub fn page(groups: &[Status]) -> String {
    let connected = groups.iter().filter(|group| group.connected_agents > 0).count();
    let noun = if connected == 1 { "management group" } else { "management groups" };
    let mut html = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Management groups</title>\n\
         <h1>{connected} {noun} connected</h1>\n<table>\n<tr><th>Management group<th>Workspace\
         <th>Agents connected<th>Reports<th>Last data\n"
    );
    for group in groups {
        let cells = [
            escape(&group.name),
            escape(group.workspace.as_deref().unwrap_or("no longer in the file")),
            group.connected_agents.to_string(),
            group.reports.to_string(),
            escape(group.last_data.as_deref().unwrap_or("none yet")),
        ];
        html.push_str("<tr>");
        for cell in cells {
            html.push_str("<td>");
            html.push_str(&cell);
        }
        html.push('\n');
    }
    html.push_str("</table>\n");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r#"
        revoked = ["urn:patchline:computer:stolen"]
        [computer_groups]
        databases = ["db-*.contoso.com", "Ledger.contoso.com"]
        [groups.contoso]
        workspace = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10"
        computers = ["web-?.contoso.com", "@databases"]
        ids = ["id-7"]
        [groups.empty]
        workspace = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10"
    "#;

    #[test]
    fn a_group_allows_the_computers_on_its_list_and_no_others() {
        let directory = Directory::parse(FILE.as_bytes()).unwrap();
        let group = directory.group("contoso").unwrap();
        for name in [
            "web-1.contoso.com",
            "WEB-x.contoso.com",
            "db-.contoso.com",
            "db-1.a.contoso.com",
            "ledger.contoso.com",
        ] {
            assert!(group.allows("any", name), "{name}");
        }
        for name in
            ["web-10.contoso.com", "web-1.contoso.com.evil.org", "db-1", "", "ledger-contoso.com"]
        {
            assert!(!group.allows("any", name), "{name}");
        }
        assert!(group.allows("id-7", "elsewhere") && !group.allows("ID-7", "elsewhere"));
        assert!(!directory.group("empty").unwrap().allows("id-7", "web-1.contoso.com"));
        assert!(directory.is_revoked(&Subject::Computer("stolen".to_owned())));
        assert!(!directory.is_revoked(&Subject::Group("stolen".to_owned())));
    }

    #[test]
    fn a_file_with_a_fault_is_refused_whole_and_the_fault_named() {
        for (text, named) in [
            ("[groups.a]\ncomputers = []", "workspace"),
            ("[groups.a]\nworkspace = \"x\"", "workspace"),
            (
                "[groups.a]\nworkspace = \"6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10\"\ncomputer = []",
                "computer",
            ),
            (
                "[groups.a]\nworkspace = \"6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10\"\ncomputers = [\"@b\"]",
                "computer_groups",
            ),
            ("revoked = [\"web-1\"]", "revoked"),
            ("group = 1", "group"),
        ] {
            let error = Directory::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn agents_are_connected_while_they_are_heard_of() {
        let directory = Directory::parse(FILE.as_bytes()).unwrap();
        let heard = Heard::default();
        let start = Timestamp(1_700_000_000_000);
        heard.note("contoso", ["a", "b", "a"], start);
        let later = Timestamp(start.0 + 10 * 60_000);
        heard.note("contoso", ["b"], later);
        let status = heard.status(&directory, later);
        let brief: Vec<_> =
            status.iter().map(|one| (&*one.name, one.connected_agents, one.reports)).collect();
        assert_eq!(brief, [("contoso", 2, 4), ("empty", 0, 0)]);
        assert_eq!(status[0].last_data.as_deref(), Some(&*later.to_string()));
        let much_later = Timestamp(start.0 + 20 * 60_000);
        assert_eq!(heard.status(&directory, much_later)[0].connected_agents, 1);
        let page = page(&heard.status(&directory, much_later));
        assert!(page.contains("<h1>1 management group connected</h1>"), "{page}");
    }

    #[test]
    fn what_is_remembered_of_a_group_is_bounded() {
        let heard = Heard::default();
        let now = Timestamp(1_700_000_000_000);
        let ids: Vec<String> = (0..AGENTS_MAX + 10).map(|id| id.to_string()).collect();
        heard.note("contoso", ids.iter().map(String::as_str), now);
        assert_eq!(heard.0.lock().unwrap()["contoso"].agents.len(), AGENTS_MAX);
        let later = Timestamp(now.0 + 60 * 60_000);
        heard.note("contoso", ["new"], later);
        assert_eq!(heard.0.lock().unwrap()["contoso"].agents.len(), 1, "the old made room");
    }

    #[test]
    fn a_groups_name_cannot_write_the_page() {
        let status = Status {
            name: "<script>".to_owned(),
            workspace: None,
            connected_agents: 0,
            last_data: None,
            reports: 0,
            last_data_ms: 0,
        };
        assert!(!page(&[status]).contains("<script>"));
    }

    proptest! {
        #[test]
        fn a_wildcard_matches_what_it_stands_for(text in "[ab]{0,8}", pattern in "[ab*?]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([], []) => true,
                    ([b'*', rest @ ..], text) => {
                        slow(rest, text) || (!text.is_empty() && slow(pattern, &text[1..]))
                    }
                    ([b'?', rest @ ..], [_, text @ ..]) => slow(rest, text),
                    ([one, rest @ ..], [other, text @ ..]) => one == other && slow(rest, text),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
