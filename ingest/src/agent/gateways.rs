//! Posts reports to gateways.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::route::Outcome;
use super::spool::Kind;

/// A client of all gateways.
#[derive(Debug, Clone)]
pub struct Gateways {
    client: ureq::Agent,
    urls: Vec<String>,
}

impl Gateways {
    /// For the gateways at `urls`; an answer may take `timeout`.
    #[must_use]
    pub fn new(urls: &[String], timeout: Duration) -> Self {
        let client = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .user_agent(concat!("patchline-agent/", env!("CARGO_PKG_VERSION")))
            .build();
        let urls = urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Self { client: client.into(), urls }
    }

    /// Posts the JSON `report` to the gateway number `to`. Blocks.
    #[must_use]
    pub fn post(&self, to: usize, kind: Kind, report: &[u8]) -> Outcome {
        let Some(gateway) = self.urls.get(to) else { return Outcome::Failed };
        let url = format!("{gateway}{}", kind.path());
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let Ok(body) = packed.write_all(report).and_then(|()| packed.finish()) else {
            return Outcome::Failed;
        };
        let request = self
            .client
            .post(&url)
            .header("Content-Type", "application/json")
            .header("Content-Encoding", "gzip");
        let mut answer = match request.send(&body[..]) {
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
