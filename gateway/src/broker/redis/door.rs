//! The connection for commands to one server: one for all, made anew whenever it is lost.
//!
//! Owns: reconnecting and the sign of life. Never: repeats a command, since only its caller knows whether that
//! is safe. Used by: `nodes`, which runs it; `commands` and `link`, which ask through it.

use super::backoff::{Backoff, Complaint};
use super::follow::Hints;
use super::server::{self, Source};
use super::topology::Node;
use crate::clock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisError, ServerErrorKind};
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often the connection is asked for a sign of life, and how long it has to give one.
const ALIVE: Duration = Duration::from_secs(2);
/// Beyond every time limit of a call, so that a call's own limit decides.
const RESPONSE: Duration = Duration::from_secs(30);

/// A connection that stands.
#[derive(Clone)]
pub struct Live {
    pub connection: MultiplexedConnection,
    /// Rises with each connection, so that a complaint about an old one hurts no newer one.
    number: u64,
}

/// A door to the connection.
#[derive(Clone)]
pub struct Door {
    live: watch::Receiver<Option<Live>>,
    /// The newest connection that somebody found lost.
    lost: watch::Sender<u64>,
}

impl Door {
    /// The door, and what keeps the connection: to be run as a task of its own.
    pub fn new(
        source: Source,
        node: Node,
        hints: Hints,
        backoff: Backoff,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, live) = watch::channel(None);
        let door = Self {
            live,
            lost: watch::Sender::new(0),
        };
        let keep = keep(source, node, hints, backoff, sender, door.lost.clone());
        (door, keep)
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn up(&self) -> bool {
        self.live.borrow().is_some()
    }

    /// Waits for a connection; none: the server is no longer one of ours.
    pub async fn live(&self) -> Option<Live> {
        let mut live = self.live.clone();
        let connected = live.wait_for(Option::is_some).await;
        connected.ok().and_then(|live| live.clone())
    }

    /// Looks at an error that came on `live`: after some the connection is of no use.
    pub fn judge(&self, live: &Live, error: &RedisError) {
        if loses(error) {
            self.lost
                .send_modify(|newest| *newest = live.number.max(*newest));
        }
    }
}

/// Whether the connection is of no use after this error.
pub fn loses(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::ReadOnly)
        )
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

async fn keep(
    source: Source,
    node: Node,
    hints: Hints,
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
                    lost.send_modify(|newest| *newest = number.max(*newest));
                }
                Ok::<_, redis::aio::SendError>(())
            });
        let ended = match server::connect(&source, &node, config).await {
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
            tracing::warn!(server = %node, times, error = ?ended, "no connection for commands");
        }
        // Perhaps another server has taken its place.
        hints.look();
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
