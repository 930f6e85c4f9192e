//! The connection for commands: one for all, made anew whenever it is lost.
//!
//! Owns: reconnecting, the sign of life, and the time limit of every call. Never: repeats a command,
//! since only its caller knows whether that is safe. Used by: everything under `redis` that asks.

use super::backoff::{Backoff, Complaint};
use super::server::{self, Source};
use crate::broker::Unavailable;
use crate::clock;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind,
};
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often the connection is asked for a sign of life, and how long it has to give one.
const ALIVE: Duration = Duration::from_secs(2);
/// Beyond every time limit of a call, so that a call's own limit decides.
const RESPONSE: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Rises with each connection, so that a complaint about an old one hurts no newer one.
    number: u64,
}

/// A door to the connection.
#[derive(Clone)]
pub struct Commands {
    live: watch::Receiver<Option<Live>>,
    /// The newest connection that somebody found lost.
    lost: watch::Sender<u64>,
}

/// Why a call brought no answer.
#[derive(Debug)]
pub enum Failure {
    /// There was no connection within the time limit: nothing was sent.
    Disconnected,
    /// The answer did not come in time; the command may have run.
    Late,
    Redis(RedisError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("no connection"),
            Self::Late => f.write_str("no answer in time"),
            Self::Redis(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Failure {
    /// Names the step that failed.
    #[must_use]
    pub fn at(self, step: &'static str) -> Unavailable {
        Unavailable {
            step,
            cause: self.to_string(),
        }
    }

    /// Whether the server does not know the script yet.
    #[must_use]
    pub fn unknown_script(&self) -> bool {
        matches!(self, Self::Redis(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }

    /// Whether the same command may succeed a little later.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Disconnected | Self::Late => true,
            Self::Redis(error) => loses(error) || transient(error),
        }
    }
}

/// Whether the connection is of no use after this error.
fn loses(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::ReadOnly)
        )
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

fn transient(error: &RedisError) -> bool {
    let kind = matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::TryAgain
        )
    );
    kind || matches!(error.code(), Some("BUSY" | "UNBLOCKED"))
}

impl Commands {
    /// The door, and what keeps the connection: to be run as a task of its own.
    pub fn new(source: Source, backoff: Backoff) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, live) = watch::channel(None);
        let commands = Self {
            live,
            lost: watch::Sender::new(0),
        };
        let keep = keep(source, backoff, sender, commands.lost.clone());
        (commands, keep)
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn up(&self) -> bool {
        self.live.borrow().is_some()
    }

    /// Waits for a connection and for the answer of `ask`, both together at most `limit`.
    pub async fn call<T, F>(
        &self,
        limit: Duration,
        ask: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut live = self.live.clone();
        let mut sent = false;
        let answer = timeout(limit, async {
            let connected = live.wait_for(Option::is_some).await;
            let connected = connected.ok().and_then(|live| live.clone())?;
            sent = true;
            Some((connected.number, ask(connected.connection).await))
        });
        match answer.await {
            Err(_) if sent => Err(Failure::Late),
            Err(_) | Ok(None) => Err(Failure::Disconnected),
            Ok(Some((_, Ok(answer)))) => Ok(answer),
            Ok(Some((number, Err(error)))) => {
                if loses(&error) {
                    self.lost
                        .send_modify(|newest| *newest = number.max(*newest));
                }
                Err(Failure::Redis(error))
            }
        }
    }
}

async fn keep(
    source: Source,
    mut backoff: Backoff,
    live: watch::Sender<Option<Live>>,
    lost: watch::Sender<u64>,
) {
    let mut heard = lost.subscribe();
    let mut complaint = Complaint::default();
    for number in 1.. {
        let lost = lost.clone();
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    lost.send_replace(number);
                }
                Ok::<_, redis::aio::SendError>(())
            });
        let ended = match server::connect(&source, config).await {
            Ok(connection) => {
                backoff.reset();
                live.send_replace(Some(Live {
                    connection: connection.clone(),
                    number,
                }));
                let cause = ended(connection, number, &mut heard).await;
                live.send_replace(None);
                cause
            }
            Err(error) => error.to_string(),
        };
        if let Some(times) = complaint.due(clock::now().steady) {
            let server = server::label(&source.server());
            tracing::warn!(server, times, error = ?ended, "no connection for commands");
        }
        sleep(backoff.next()).await;
    }
}

async fn ended(
    mut connection: MultiplexedConnection,
    number: u64,
    lost: &mut watch::Receiver<u64>,
) -> String {
    let alive = async {
        loop {
            sleep(ALIVE).await;
            let ping = redis::cmd("PING");
            match timeout(ALIVE, ping.exec_async(&mut connection)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(late) => return late.to_string(),
            }
        }
    };
    tokio::select! {
        cause = alive => cause,
        _ = lost.wait_for(|&newest| newest >= number) => "disconnected, or a command failed".into(),
    }
}
