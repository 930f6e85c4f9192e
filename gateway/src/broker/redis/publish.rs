//! Publishing through the script that numbers, keeps and passes on in one step.
//!
//! Owns: the arguments of `publish.lua`, its answers, and repeating it under the same key. Never: knows
//! where a message came from. Used by: `redis`, for requests; `number`, for raw publishers.

use super::backoff::Complaint;
use super::commands::{Commands, Failure};
use super::declined::declined;
use super::keys::{self, Keys};
use super::wire;
use crate::broker::{Publication, PublishError, Published};
use crate::clock;
use crate::position::{Epoch, Position};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redis::{RedisResult, Script, ScriptInvocation};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::sleep;

/// Attempts of one publication that bring no answer, all under the same key.
const ATTEMPTS: u32 = 3;
/// Time for all attempts together; the last has what is left of it.
const LIMIT: Duration = Duration::from_secs(2);
/// Time for one attempt.
const ATTEMPT: Duration = Duration::from_millis(900);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// The least time to live of anything; Redis refuses none.
const LEAST_TTL: Duration = Duration::from_millis(1);

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("publish.lua")));

/// Prepares calls of the script.
pub struct Publisher {
    keys: Keys,
    random: Mutex<StdRng>,
    /// The same cause is told once a minute.
    complaint: Mutex<Complaint>,
}

/// What the script said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Published(Published),
    Conflict,
    /// A holder of the ingest lease with a newer token has published here.
    Stale,
}

impl Publisher {
    /// `seed` makes the epochs: random in production.
    #[must_use]
    pub fn new(keys: Keys, seed: u64) -> Self {
        Self {
            keys,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            complaint: Mutex::default(),
        }
    }

    /// The script, to be loaded on a connection before [`Self::invocation`] is sent in a pipeline.
    #[must_use]
    pub fn script() -> &'static Script {
        &SCRIPT
    }

    /// One call; `token` is that of the ingest lease for a raw message.
    #[must_use]
    pub fn invocation(
        &self,
        publication: &Publication,
        token: Option<u64>,
    ) -> ScriptInvocation<'static> {
        let target = &publication.target;
        let names = self.keys.names(&target.address);
        let feed = target.address.feed().map(|feed| self.keys.names(&feed));
        let epoch = Epoch::draw(self.random.lock().next_u64());
        let history = target.policy.history;
        let ttl = history.map_or(LEAST_TTL, |history| history.ttl);
        let body = wire::body(&target.name, &publication.message);
        let mut call = SCRIPT.prepare_invoke();
        call.key(names.meta)
            .key(names.history)
            .key(self.keys.publication(&target.address, &publication.key.key));
        let mut feed_channel = String::new();
        if let Some(feed) = feed {
            call.key(feed.meta).key(feed.history);
            feed_channel = feed.channel;
        }
        call.arg(body)
            .arg(publication.time)
            .arg(epoch.to_string())
            .arg(names.channel)
            .arg(feed_channel)
            .arg(history.map_or(0, |history| history.size))
            .arg(milliseconds(ttl))
            .arg(milliseconds(keys::meta_ttl(ttl)))
            .arg(milliseconds(publication.key.ttl))
            .arg(&publication.key.content)
            .arg(token.map(|token| token.to_string()).unwrap_or_default())
            .arg(self.keys.publishes_by());
        call
    }

    /// Publishes, at most once, however often it is tried. A no of the server counts only when no attempt
    /// before it is left without an answer: that one may still be carried out.
    pub async fn publish(
        &self,
        commands: &Commands,
        publication: &Publication,
    ) -> Result<Published, PublishError> {
        let channel = self.keys.channel(&publication.target.address);
        let until = clock::now().steady + LIMIT;
        let mut so_far = PublishError::Refused(Failure::Disconnected.to_string());
        let mut attempts = 0;
        loop {
            let left = until.saturating_duration_since(clock::now().steady);
            let call = self.invocation(publication, None);
            let asked = commands.call(&channel, ATTEMPT.min(left), async |mut connection| {
                call.invoke_async::<Vec<String>>(&mut connection).await
            });
            let failure = match asked.await {
                Ok(answer) => return said(&answer).and_then(Said::published),
                Err(failure) => failure,
            };
            let (error, again) = self.judge(&failure);
            // While a server says no, nothing happened, and only time counts.
            attempts += u32::from(!matches!(error, PublishError::Declined(_)));
            so_far = match (so_far, error) {
                (unknown @ PublishError::OutcomeUnknown(_), _) => unknown,
                (no @ PublishError::Declined(_), PublishError::Refused(_)) => no,
                (_, error) => error,
            };
            if !again || attempts == ATTEMPTS || left <= PAUSE {
                return Err(so_far);
            }
            sleep(PAUSE).await;
        }
    }

    /// What a failed attempt means by itself, and whether another one may do better.
    fn judge(&self, failure: &Failure) -> (PublishError, bool) {
        let no = match failure {
            Failure::Redis(error) => declined(error),
            Failure::Disconnected | Failure::Late => None,
        };
        if let Some(no) = no {
            if let Some(times) = self.complaint.lock().due(clock::now().steady) {
                let (cause, error) = (no.word(), failure.to_string());
                tracing::warn!(cause, times, error, "redis declined a publication");
            }
            return (PublishError::Declined(no), no.passes());
        }
        match failure {
            Failure::Disconnected => (PublishError::Refused(failure.to_string()), true),
            failure if failure.passes() => {
                (PublishError::OutcomeUnknown(failure.to_string()), true)
            }
            // An error that says neither may have come in the middle of the script.
            Failure::Late | Failure::Redis(_) => {
                (PublishError::OutcomeUnknown(failure.to_string()), false)
            }
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.max(LEAST_TTL).as_millis()).unwrap_or(u64::MAX)
}

/// Reads the script's answer.
pub fn said(answer: &[String]) -> Result<Said, PublishError> {
    let words: Vec<&str> = answer.iter().map(String::as_str).collect();
    let (replayed, epoch, offset) = match *words.as_slice() {
        ["ok", epoch, offset] => (false, epoch, offset),
        ["replayed", epoch, offset] => (true, epoch, offset),
        ["conflict"] => return Ok(Said::Conflict),
        ["stale"] => return Ok(Said::Stale),
        _ => return Err(PublishError::Refused("an answer that is no answer".into())),
    };
    let position = epoch.parse().ok().zip(offset.parse().ok());
    let (epoch, offset) =
        position.ok_or_else(|| PublishError::Refused("a position that is none".into()))?;
    let position = Position { epoch, offset };
    Ok(Said::Published(Published { position, replayed }))
}

impl Said {
    fn published(self) -> Result<Published, PublishError> {
        match self {
            Self::Published(published) => Ok(published),
            Self::Conflict => Err(PublishError::Conflict),
            Self::Stale => Err(PublishError::Refused("the ingest lease has moved".into())),
        }
    }
}

/// One answer of a pipeline.
pub fn said_in_pipeline(answer: RedisResult<Vec<String>>) -> Result<Said, Failure> {
    let answer = answer.map_err(Failure::Redis)?;
    said(&answer).map_err(|error| {
        Failure::Redis(redis::RedisError::from(std::io::Error::other(
            error.to_string(),
        )))
    })
}
