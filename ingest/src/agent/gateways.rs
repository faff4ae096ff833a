//! Posts reports to gateways, and proves whose they are.

use std::sync::Arc;
use std::time::Duration;

use ureq::Proxy;

use super::config::IdentityConfig;
use super::route::Outcome;
use super::spool::Kind;
use crate::security::Subject;
use crate::security::client::ProvenClient;

/// A client of all gateways.
#[derive(Clone)]
pub struct Gateways {
    client: Arc<ProvenClient>,
    urls: Arc<[String]>,
}

impl Gateways {
    /// For the gateways at `urls`; an answer may take `timeout`. `computer` is whom `identity` proves.
    ///
    /// # Errors
    /// A file of `identity` cannot be read or does not hold what it should.
    pub fn new(
        urls: &[String],
        timeout: Duration,
        identity: &IdentityConfig,
        computer: &str,
    ) -> Result<Self, String> {
        let subject = Subject::Computer(computer.to_owned());
        let proxy = Proxy::try_from_env();
        let client = ProvenClient::open("identity", identity, subject, timeout, proxy)?;
        let urls = urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Self { client: Arc::new(client), urls })
    }

    /// Posts the JSON `report` to the gateway number `to`. Blocks.
    #[must_use]
    pub fn post(&self, to: usize, kind: Kind, report: &[u8]) -> Outcome {
        let Some(gateway) = self.urls.get(to) else { return Outcome::Failed };
        let url = format!("{gateway}{}", kind.path());
        let mut answer = match self.client.post(&url, "application/json", report) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(gateway, %error, "no answer");
                return Outcome::Failed;
            }
        };
        let after = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Outcome::Taken;
        }
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        tracing::warn!(gateway, status, said, "not taken");
        match status {
            429 => Outcome::Slower(after),
            503 => Outcome::Busy(after),
            // What the report's own content is blamed for. Anything else may be a proxy's.
            400 | 413 | 415 | 422 => Outcome::Refused,
            _ => Outcome::Failed,
        }
    }
}
