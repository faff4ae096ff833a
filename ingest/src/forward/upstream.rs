//! The next hop behind a firewall: another gateway, by HTTPS, through an HTTP proxy where there is one.
//!
//! That gateway answers 2xx once the reports are in its own spool; only then do they leave ours. Whatever
//! else it answers, they stay and are sent again. It is asked with an empty batch whether it is back.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use ureq::Proxy;

use super::frames;
use super::next_hop::Fate;
use crate::agent::config::IdentityConfig;
use crate::security::Subject;
use crate::security::client::ProvenClient;
use crate::spool::Spooled;

/// `[upstream]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// The gateway that reports are handed on to, `https://host:port`. Without it, Kafka.
    pub url: Option<String>,
    /// The HTTP proxy on the way, `http://user:password@host:port`. Without it, that of the environment's
    /// `HTTPS_PROXY`, if any.
    pub proxy: Option<String>,
    /// This gateway's name as a sender.
    pub name: String,
    /// How long an answer may take.
    pub timeout_ms: u32,
    /// How it proves that, as an agent does.
    pub identity: IdentityConfig,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            url: None,
            proxy: None,
            name: "gateway".to_owned(),
            timeout_ms: 30_000,
            identity: IdentityConfig::default(),
        }
    }
}

impl UpstreamConfig {
    /// Checks what no single value shows.
    ///
    /// # Errors
    /// Says which values make no sense.
    pub fn check(&self) -> Result<(), String> {
        self.identity.check().map_err(|error| format!("upstream: {error}"))?;
        if let Some(url) = &self.url
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            return Err(format!("upstream.url = `{url}` begins with neither http:// nor https://"));
        }
        if self.timeout_ms == 0 {
            return Err("upstream.timeout_ms = 0 would never get an answer".to_owned());
        }
        // Not repeated: it may hold a password.
        self.proxy().map(drop)
    }

    fn proxy(&self) -> Result<Option<Proxy>, String> {
        match &self.proxy {
            Some(proxy) => Proxy::new(proxy)
                .map(Some)
                .map_err(|_| "upstream.proxy is no http://user:password@host:port".to_owned()),
            None => Ok(Proxy::try_from_env()),
        }
    }
}

/// How soon a gateway that did not take reports is asked again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// A client of the next gateway.
pub struct Upstream {
    client: Arc<ProvenClient>,
    url: String,
    health: Arc<watch::Sender<Option<String>>>,
}

impl Upstream {
    /// A client of the gateway that `config` names, `None` if it names none. It is asked from now on
    /// whether it can be used.
    ///
    /// # Errors
    /// A file of the identity cannot be read or does not hold what it should.
    pub fn new(config: &UpstreamConfig) -> Result<Option<Self>, String> {
        let Some(url) = &config.url else { return Ok(None) };
        let url = format!("{}{}", url.trim_end_matches('/'), frames::PATH);
        let subject = Subject::Gateway(config.name.clone());
        let timeout = Duration::from_millis(config.timeout_ms.into());
        let proxy = config.proxy()?;
        let client = ProvenClient::open("upstream", &config.identity, subject, timeout, proxy)?;
        let health = Arc::new(watch::Sender::new(Some("not reached yet".to_owned())));
        let upstream = Self { client: Arc::new(client), url, health };
        upstream.follow();
        Ok(Some(upstream))
    }

    pub(super) fn health(&self) -> watch::Receiver<Option<String>> {
        self.health.subscribe()
    }

    /// Sends `batch`: all of it is taken, or none.
    pub(super) async fn send(&self, batch: &[Spooled]) -> Vec<Fate> {
        let fate = match self.post(batch).await {
            Ok(()) => Fate::Taken,
            Err(why) => {
                set(&self.health, Some(why));
                Fate::Later("upstream")
            }
        };
        vec![fate; batch.len()]
    }

    async fn post(&self, batch: &[Spooled]) -> Result<(), String> {
        let mut body = Vec::new();
        frames::write(batch, &mut body)?;
        let (client, url) = (Arc::clone(&self.client), self.url.clone());
        tokio::task::spawn_blocking(move || post(&client, &url, &body))
            .await
            .map_err(|error| error.to_string())?
    }

    /// Asks a gateway that was away whether it is back, until nobody listens any more.
    fn follow(&self) {
        let (client, url) = (Arc::clone(&self.client), self.url.clone());
        let health = Arc::downgrade(&self.health);
        tokio::spawn(async move {
            loop {
                let Some(known) = health.upgrade() else { return };
                if known.borrow().is_some() {
                    let (client, url) = (Arc::clone(&client), url.clone());
                    let asked = tokio::task::spawn_blocking(move || {
                        let mut body = Vec::new();
                        frames::write(&[], &mut body)?;
                        post(&client, &url, &body)
                    });
                    match asked.await {
                        Ok(found) => set(&known, found.err()),
                        Err(error) => set(&known, Some(error.to_string())),
                    }
                }
                drop(known);
                tokio::time::sleep(PROBE_EVERY).await;
            }
        });
    }
}

fn set(health: &watch::Sender<Option<String>>, found: Option<String>) {
    let changed = health.send_if_modified(|known| {
        let changed = known.is_some() != found.is_some();
        known.clone_from(&found);
        changed
    });
    match found {
        None if changed => tracing::info!("the next gateway can be used"),
        Some(why) if changed => tracing::warn!(why, "the next gateway cannot be used"),
        _ => {}
    }
}

fn post(client: &ProvenClient, url: &str, body: &[u8]) -> Result<(), String> {
    let answer = client.post(url, "application/vnd.patchline.relay", body);
    let mut answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(());
    }
    let said = answer.body_mut().read_to_string().unwrap_or_default();
    Err(format!("it answered {status}: {said:.1000}"))
}
