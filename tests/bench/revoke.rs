//! How soon streams end that a change of the manifests no longer admits, and that no other stream notices.

use crate::round::{Publisher, Watch};
use crate::server::{Server, channel, documents};
use crate::tokens::Issuer;
use anyhow::{Result, ensure};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use std::time::{Duration, Instant};
use tests::listen::{Listen, Listener};
use tests::manifest::secret;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Streams that are being opened at once.
const OPENING: usize = 64;
/// How long the others must hear nothing after the last end.
const QUIET: Duration = Duration::from_secs(1);
/// The Channel for tokens of a Secret, and its topic.
const SECRET: &str = "secret";
/// The Channel for signed tokens, and its topic.
const SIGNED: &str = "signed";
const ANA: &str = "a-token-of-ana-in-a-secret";
const BEN: &str = "a-token-of-ben-in-a-secret";

/// What came of one change.
pub struct Revoked {
    /// From the change to the last end, on each gateway.
    pub last_millis: [f64; 2],
    /// Streams that stay and heard or lost anything.
    pub touched: usize,
    /// What other programs used meanwhile, in cores.
    pub foreign_cores: f64,
}

/// One file for two gateways with `streams` each: half of them on a Channel for the tokens of a Secret, half on
/// one for signed tokens. One rename takes a token from the Secret and a team from the condition, which ends
/// half of the streams of each. It comes when all streams were open for the time `after`.
pub fn revoke(streams: usize, after: Duration) -> Result<Revoked> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("channels.yaml");
    let issuer = Issuer::new();
    let both = manifests(&issuer, &[("ana", ANA), ("ben", BEN)], "['red', 'blue']");
    std::fs::write(&file, both)?;
    let gateways = [Server::serving(&file)?, Server::serving(&file)?];
    let changed = folder.path().join("changed");
    std::fs::write(&changed, manifests(&issuer, &[("ben", BEN)], "['red']"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (mut leaving, mut staying) = (Vec::new(), Vec::new());
        for (at, gateway) in gateways.iter().enumerate() {
            let all = open(gateway, &issuer, streams).await;
            for (number, listener) in all {
                if leaves(number) {
                    leaving.push((at, listener));
                } else {
                    staying.push(listener);
                }
            }
        }
        tokio::time::sleep(after).await;
        let watch = Watch::start(&[gateways[0].pid(), gateways[1].pid()]);
        let begin = Instant::now();
        std::fs::rename(&changed, &file)?;
        let last_millis = ends(leaving, begin).await?;
        let foreign_cores = watch.foreign_cores();
        let touched = touched(&gateways, staying).await?;
        Ok(Revoked {
            last_millis,
            touched,
            foreign_cores,
        })
    })
}

/// Every other one.
fn leaves(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn manifests(issuer: &Issuer, readers: &[(&str, &str)], teams: &str) -> String {
    let holders = json!([{"tokens": {"secretRef": {"name": "readers"}}}]);
    let teams = json!([issuer.rule(&format!("claims.team in {teams}"))]);
    documents(&[
        channel(SECRET, &[SECRET], &holders),
        secret("readers", readers),
        channel(SIGNED, &[SIGNED], &teams),
        issuer.secret(),
    ])
}

/// The streams of one gateway with their numbers.
async fn open(gateway: &Server, issuer: &Issuer, streams: usize) -> Vec<(usize, Listener)> {
    let opening = (0..streams).map(|number| async move {
        let (topic, token) = match number % 4 {
            0 => (SECRET, ANA.to_owned()),
            1 => (SECRET, BEN.to_owned()),
            2 => (SIGNED, issuer.token(number, "blue")),
            _ => (SIGNED, issuer.token(number, "red")),
        };
        let mut listener = Listen::at(gateway.addr).channel(topic).token(&token).await;
        // The last of what is sent at once.
        listener.cursor().await;
        (number, listener)
    });
    stream::iter(opening)
        .buffer_unordered(OPENING)
        .collect()
        .await
}

/// When the last one of each gateway had been told that it is revoked, and was closed.
async fn ends(leaving: Vec<(usize, Listener)>, begin: Instant) -> Result<[f64; 2]> {
    let mut ends = JoinSet::new();
    for (at, mut listener) in leaving {
        ends.spawn(async move {
            let reason = listener.end().await.reason;
            (at, reason, begin.elapsed())
        });
    }
    let mut last = [0.0_f64; 2];
    while let Some(end) = ends.join_next().await {
        let (at, reason, after) = end?;
        ensure!(reason == "revoked", "a stream ended with {reason}");
        last[at] = last[at].max(after.as_secs_f64() * 1000.0);
    }
    Ok(last)
}

/// How many heard anything, or do not get the next message.
async fn touched(gateways: &[Server], mut staying: Vec<Listener>) -> Result<usize> {
    let silent = join_all(staying.iter_mut().map(async |listener| {
        let before = listener.transcript();
        timeout(QUIET, listener.read()).await.is_err() && listener.transcript() == before
    }))
    .await;
    for gateway in gateways {
        let mut publisher = Publisher::connect(gateway.addr)?;
        let topics = [SECRET, SIGNED].map(str::to_owned);
        publisher.post_batch(topics.into_iter(), 0)?;
    }
    let hears = join_all(staying.iter_mut().map(async |listener| {
        let heard = timeout(QUIET, listener.read()).await;
        matches!(heard, Ok(Some(tests::sse::Item::Event(event))) if event.kind == "message")
    }))
    .await;
    let untouched = silent
        .iter()
        .zip(hears)
        .filter(|(silent, hears)| **silent && *hears);
    Ok(staying.len() - untouched.count())
}
