//! A wire between a client and a server that fails in every way a network can.
//!
//! Owns: its connections, and what each of them holds back (bounded: then the sender waits). Never: looks at what they
//! carry, which may be TLS. Used by: tests of watches that stall, tests of what a gateway makes of a bad network.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// The most bytes taken from one side at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks under way in one direction of a connection; with more its sender has to wait.
const CHUNKS: usize = 256;

/// The running proxy; its connections end with it.
pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
    task: JoinHandle<()>,
}

/// What all connections look at.
struct Wire {
    server: SocketAddr,
    state: watch::Sender<State>,
    chance: Mutex<StdRng>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Nothing passes, in either direction.
    held: bool,
    /// Nothing passes that servers say.
    mute: bool,
    /// How often the connections of that moment went dead for good.
    stalls: u32,
    /// How often they were cut.
    cuts: u32,
    delay: Duration,
    /// The share of chunks in whose place the connection is reset.
    resets: f64,
}

impl Proxy {
    /// One that leads to `server`.
    pub async fn to(server: SocketAddr) -> Self {
        Self::seeded(server, 0).await
    }

    /// One whose resets are those of `seed`.
    pub async fn seeded(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let wire = Arc::new(Wire {
            server,
            state: watch::Sender::default(),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let task = tokio::spawn(serve(listener, wire.clone()));
        Self {
            address,
            wire,
            task,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections of now carry nothing any more and stay open; new ones work.
    pub fn stall(&self) {
        self.change(|state| state.stalls += 1);
    }

    /// From now on nothing passes; connections stay open, and new ones are accepted without a word.
    pub fn blackhole(&self) {
        self.change(|state| state.held = true);
    }

    /// From now on the server hears everything, and nothing that it says passes.
    pub fn mute(&self) {
        self.change(|state| state.mute = true);
    }

    /// All passes again, and what was held flows on.
    pub fn heal(&self) {
        self.change(|state| (state.held, state.mute) = (false, false));
    }

    /// All passes again, and the connections that knew it otherwise are cut.
    pub fn heal_cut(&self) {
        self.change(|state| {
            state.cuts += 1;
            (state.held, state.mute) = (false, false);
        });
    }

    /// Cuts all connections; new ones work.
    pub fn cut(&self) {
        self.change(|state| state.cuts += 1);
    }

    /// Each direction takes so much longer.
    pub fn delay(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// Resets a connection in place of such a share of the chunks that it carries.
    pub fn resets(&self, share: f64) {
        self.change(|state| state.resets = share);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.wire.state.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, wire: Arc<Wire>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("loopback connects");
        connections.spawn(carry(client, wire.clone(), wire.state.subscribe()));
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection to its end.
async fn carry(mut client: TcpStream, wire: Arc<Wire>, mut state: watch::Receiver<State>) {
    let born = *state.borrow_and_update();
    tokio::select! {
        biased;
        () = cut(state.clone(), born) => {}
        () = stalled(state.clone(), born) => cut(state, born).await,
        () = pass(&mut client, &wire, state.clone()) => {}
    }
}

async fn cut(mut state: watch::Receiver<State>, born: State) {
    drop(state.wait_for(|now| now.cuts != born.cuts).await);
}

async fn stalled(mut state: watch::Receiver<State>, born: State) {
    drop(state.wait_for(|now| now.stalls != born.stalls).await);
}

async fn open(mut state: watch::Receiver<State>, passes: fn(&State) -> bool) {
    drop(state.wait_for(passes).await);
}

const fn hears(now: &State) -> bool {
    !now.held
}

const fn speaks(now: &State) -> bool {
    hears(now) && !now.mute
}

/// Passes bytes both ways until one side closes, or chance resets the connection.
async fn pass(client: &mut TcpStream, wire: &Wire, state: watch::Receiver<State>) {
    open(state.clone(), hears).await;
    // A server that is gone closes the connection, as it would without anybody in between.
    let Ok(mut server) = TcpStream::connect(wire.server).await else {
        return;
    };
    let quick = client.set_nodelay(true).and(server.set_nodelay(true));
    quick.expect("TCP sockets take this");
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            end = one_way(from_client, to_server, wire, &state, hears) => end,
            end = one_way(from_server, to_client, wire, &state, speaks) => end,
        }
    };
    if end == End::Reset {
        for socket in [&*client, &server] {
            let reset = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
            reset.expect("TCP sockets take this");
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    wire: &Wire,
    state: &watch::Receiver<State>,
    passes: fn(&State) -> bool,
) -> End {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    let take = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match from.read_buf(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let due = Instant::now() + state.borrow().delay;
            if sender.send((due, chunk)).await.is_err() {
                return;
            }
        }
    };
    let give = async {
        while let Some((due, chunk)) = chunks.recv().await {
            sleep_until(due).await;
            open(state.clone(), passes).await;
            let resets = state.borrow().resets;
            if resets > 0.0 && wire.chance.lock().random_bool(resets) {
                return End::Reset;
            }
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        End::Closed
    };
    let mut give = std::pin::pin!(give);
    tokio::select! {
        end = &mut give => return end,
        () = take => {}
    }
    // What was taken before the close is passed on.
    give.await
}

#[cfg(test)]
mod tests;
