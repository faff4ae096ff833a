//! Sends requests as agents do: a few at a time, each until it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::fleet::{Request, Sent};

/// Before a request is sent again: doubled each time, from and up to.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How a [`Sender`] behaves.
#[derive(Debug, Clone)]
pub struct SenderOptions {
    /// Requests at a time.
    pub concurrency: usize,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How long a request is sent again before all is given up.
    pub patience: Duration,
    /// Every how many requests one is sent again although it was acknowledged, as by an agent that did
    /// not hear the answer.
    pub repeat_every: Option<usize>,
}

impl Default for SenderOptions {
    fn default() -> SenderOptions {
        SenderOptions {
            concurrency: 16,
            attempt_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(120),
            repeat_every: None,
        }
    }
}

/// A request that cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The gateway says that it never will be taken.
    #[error("the gateway refused a request to {path} for good, with {status}: {answer}")]
    Refused {
        /// Where it was posted to.
        path: &'static str,
        /// The HTTP status.
        status: u16,
        /// What it said.
        answer: String,
    },
    /// It was sent again and again, in vain.
    #[error(
        "a request to {path} was not acknowledged within {patience:?}; the last attempt: {last}"
    )]
    Unacknowledged {
        /// Where it was posted to.
        path: &'static str,
        /// How long it was tried.
        patience: Duration,
        /// What came of the last attempt.
        last: String,
    },
    /// The gateway's address is none.
    #[error("{0} is no HTTP address")]
    Address(String),
}

/// What the gateway has taken.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// The reports of one request.
    pub reports: Vec<Sent>,
    /// When the request was sent first.
    pub began: Instant,
    /// Attempts that failed before.
    pub retries: u32,
    /// It was acknowledged before: this is a deliberate repetition.
    pub repeated: bool,
}

/// A client of the gateway.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    gateway: String,
    options: Arc<SenderOptions>,
}

impl Sender {
    /// A sender to the gateway at `gateway`: `http://host:port`.
    #[must_use]
    pub fn new(gateway: String, options: SenderOptions) -> Sender {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Sender { client, gateway, options: Arc::new(options) }
    }

    /// Sends all requests; `heard` is told of each acknowledgement as it comes.
    ///
    /// # Errors
    /// The first request that cannot be delivered; those under way are abandoned.
    pub async fn send_all(
        &self,
        requests: impl Iterator<Item = Request>,
        mut heard: impl FnMut(Acknowledged),
    ) -> Result<(), SendError> {
        let mut under_way = JoinSet::new();
        let mut joined = |done: Option<Result<Result<_, SendError>, _>>| match done {
            // A task that was cancelled was so with all others.
            None | Some(Err(_)) => Ok(false),
            Some(Ok(done)) => done.map(&mut heard).map(|()| true),
        };
        for (number, request) in requests.enumerate() {
            while under_way.len() >= self.options.concurrency {
                joined(under_way.join_next().await)?;
            }
            let repeat = self.options.repeat_every.is_some_and(|every| number % every == every - 1);
            let request = Arc::new(request);
            if repeat {
                let (sender, request) = (self.clone(), Arc::clone(&request));
                under_way.spawn(async move { sender.deliver(&request, true).await });
            }
            let sender = self.clone();
            under_way.spawn(async move { sender.deliver(&request, false).await });
        }
        while joined(under_way.join_next().await)? {}
        Ok(())
    }

    /// Sends one request until it is acknowledged.
    ///
    /// # Errors
    /// It is refused for good, or nobody acknowledges it for too long.
    pub async fn send(&self, request: &Request) -> Result<Acknowledged, SendError> {
        self.deliver(request, false).await
    }

    async fn deliver(&self, request: &Request, repeated: bool) -> Result<Acknowledged, SendError> {
        let (began, mut wait, mut retries) = (Instant::now(), BACKOFF.0, 0_u32);
        let body = Bytes::from(request.body.clone());
        loop {
            let last = match timeout(
                self.options.attempt_timeout,
                self.attempt(request, body.clone(), retries),
            )
            .await
            {
                Ok(Ok((status, _))) if (200..300).contains(&status) => {
                    let reports = request.reports.clone();
                    return Ok(Acknowledged { reports, began, retries, repeated });
                }
                // These say that the request is at fault, not the moment.
                Ok(Ok((status, answer)))
                    if (400..500).contains(&status) && status != 408 && status != 429 =>
                {
                    return Err(SendError::Refused { path: request.path, status, answer });
                }
                Ok(Ok((status, answer))) => format!("{status}: {answer}"),
                Ok(Err(error)) => error,
                Err(_) => format!("no answer within {:?}", self.options.attempt_timeout),
            };
            if began.elapsed() + wait > self.options.patience {
                let patience = self.options.patience;
                return Err(SendError::Unacknowledged { path: request.path, patience, last });
            }
            sleep(wait).await;
            wait = (wait * 2).min(BACKOFF.1);
            retries += 1;
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        body: Bytes,
        retries: u32,
    ) -> Result<(u16, String), String> {
        let mut post = axum::http::Request::post(format!("{}{}", self.gateway, request.path))
            .header("x-ms-client-request-retry-count", retries);
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        let post = post.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answer = self.client.request(post).await.map_err(|error| chain(&error))?;
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok((status, String::from_utf8_lossy(&text.to_bytes()).into_owned()))
    }
}

/// An error with its causes, which hyper's does not show by itself.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
