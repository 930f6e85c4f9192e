//! A minute in which issuers rotate their keys, or fail, while visitors keep coming.

use super::{Came, channel, history, stream, token};
use crate::{Channel, Gateway, GatewaySetup, Listener};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::issuer::{Algorithm, Issuer, Jwks, Key};
use tests::wait::within_time;

/// An issuer is not asked twice within this time; a second less, since clocks are read on both sides.
const INTERVAL: Duration = Duration::from_secs(59);
/// From the first fetch until a new key must be known.
const KNOWN: Duration = Duration::from_secs(66);
/// How long the visitors come.
const LOAD: Duration = Duration::from_secs(75);
const PAUSE: Duration = Duration::from_millis(25);

/// How the visitors with one key fared, and when the first of them was let in.
#[derive(Debug, Default)]
struct Seen {
    came_in: usize,
    later: usize,
    first_in: Option<Duration>,
    /// Sent away for later after one of them was let in.
    later_after: usize,
    wrong: BTreeMap<String, usize>,
}

impl Seen {
    fn add(&mut self, came: Came, at: Duration) {
        match came {
            Came::In => {
                self.came_in += 1;
                self.first_in.get_or_insert(at);
            }
            Came::Later => {
                self.later += 1;
                self.later_after += usize::from(self.first_in.is_some());
            }
            Came::Wrong(what) => *self.wrong.entry(what).or_default() += 1,
        }
    }
}

/// Comes again and again until the load ends.
async fn visit(gateway: &Gateway, topic: &str, token: &str, since: Instant) -> Seen {
    let mut seen = Seen::default();
    while since.elapsed() < LOAD {
        let listen = gateway.listen(topic).token(token);
        seen.add(stream(listen).await, since.elapsed());
        let came = history(gateway, topic, token).await;
        seen.add(came, since.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    seen
}

async fn serving(issuer: &Issuer, failing: &Issuer) -> Gateway {
    let gateway = GatewaySetup::new()
        .channel(&channel("c", &issuer.url()).history(10))
        .channel(&channel("failing", &failing.url()).history(10))
        .channel(&Channel::open("open"))
        .start()
        .await;
    gateway
        .until_metric("siar_jwks_fetches_total", &[("result", "ok")], 2.0)
        .await;
    gateway
}

/// The streams that were open all the time: of the withdrawn key, of the one that stays, and the failing issuer's.
async fn judge_streams(mut open: [Listener; 3]) {
    let [gone, old, kept] = &mut open;
    let end = within_time(
        Duration::from_secs(2),
        "the withdrawn key's end",
        gone.end(),
    );
    assert_eq!(end.await.reason, "revoked");
    for listener in [old, kept] {
        assert_eq!(
            listener.silent_for(Duration::from_millis(100)).await,
            Ok(())
        );
    }
}

#[tokio::test]
async fn keys_rotate_under_load_and_no_good_token_is_ever_sent_away() {
    let (issuer, failing) = (Issuer::start().await, Issuer::start().await);
    let [gone, old, new, kept] = std::array::from_fn(|_| Key::new(Algorithm::Es256));
    issuer.serve(Jwks::Keys(vec![gone.jwk("gone"), old.jwk("old")]));
    failing.serve(Jwks::Keys(vec![kept.jwk("kept")]));
    let gateway = serving(&issuer, &failing).await;
    let since = issuer.fetches()[0];
    let tokens = [
        ("c", token(&gone, "gone")),
        ("c", token(&old, "old")),
        ("failing", token(&kept, "kept")),
        ("c", token(&new, "new")),
        ("failing", token(&new, "new")),
    ];
    let listen = |at: usize| gateway.listen(tokens[at].0).token(&tokens[at].1);
    let open = [listen(0).await, listen(1).await, listen(2).await];
    let visits = tokens[1..]
        .iter()
        .map(|(topic, token)| visit(&gateway, topic, token, since));
    let rotate = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        issuer.serve(Jwks::Keys(vec![old.jwk("old"), new.jwk("new")]));
        failing.serve(Jwks::Status(500));
    };
    let (seen, ()) = tokio::join!(futures_util::future::join_all(visits), rotate);
    let [old, kept, new, unknown] = seen.try_into().unwrap();
    for (what, seen) in [
        ("old", &old),
        ("kept", &kept),
        ("new", &new),
        ("unknown", &unknown),
    ] {
        println!("{what}: {seen:?}");
        assert!(seen.wrong.is_empty(), "{what}: {seen:?}");
        assert!(seen.came_in + seen.later > 100, "{what}: {seen:?}");
    }
    assert_eq!(
        (old.later, kept.later),
        (0, 0),
        "a known key is always known"
    );
    let first = new.first_in.expect("the new key was let in");
    assert!(first >= INTERVAL && first < KNOWN, "{first:?}");
    assert_eq!(new.later_after, 0);
    assert_eq!(unknown.came_in, 0, "nobody knows that key");
    judge_streams(open).await;
    for issuer in [&issuer, &failing] {
        let fetches = issuer.fetches();
        assert_eq!(fetches.len(), 2, "in {LOAD:?}");
        let apart = fetches[1].duration_since(fetches[0]);
        assert!(apart >= INTERVAL, "{apart:?}");
    }
    let metrics = gateway.metrics().await;
    let fetches = |result| metrics.sum("siar_jwks_fetches_total", &[("result", result)]);
    assert_eq!((fetches("ok"), fetches("error")), (3.0, 1.0));
    assert_eq!(metrics.sum("siar_jwks_stale", &[]), 1.0);
}
