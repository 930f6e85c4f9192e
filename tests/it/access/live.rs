//! What ends open streams that a signed token opened: its time, and rules that no longer admit it. The others are
//! not told a byte.

use super::{check, with};
use crate::{Channel, Gateway, GatewaySetup, Listener};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::issuer::{Algorithm, Key};
use tests::manifest::secret;
use tests::wait::{unix_ms, within_time};

/// From the Snapshot to the last end that it brings.
const PROMISE: Duration = Duration::from_secs(1);
/// How long a token may be used beyond its time, in seconds.
const LEEWAY: u64 = 5;
/// How long a stream that must stay is watched.
const WATCH: Duration = Duration::from_millis(500);

/// A rule for tokens of the key in the Secret, with these further fields.
fn jwt(more: Value) -> Value {
    let key = json!({ "secretRef": { "name": "keys", "key": "k" } });
    let rule = json!({ "key": key, "algorithms": ["ES256"] });
    json!({ "jwt": with(rule, more) })
}

fn when(condition: &str) -> Value {
    let mut rule = jwt(json!({}));
    rule["when"] = json!(condition);
    rule
}

/// The Channel `c`, silent by itself, with these rules for listening.
fn channel(rules: &Value) -> Channel {
    Channel::closed("c")
        .topics(&["c", "c.{n}"])
        .stream("5m", "2s", "0s")
        .with("access", json!({ "subscribe": rules }))
}

/// Which form of the Channel is in force.
async fn digest(gateway: &Gateway) -> Value {
    gateway.status().await["channels"]["default/c"]["digest"].take()
}

fn keys(key: &Key) -> Vec<Value> {
    vec![secret("keys", &[("k", &key.public_pem())])]
}

async fn serving(key: &Key, rules: &Value) -> Gateway {
    let setup = GatewaySetup::new().file("keys", keys(key));
    setup.channel(&channel(rules)).start().await
}

fn token(key: &Key, seconds: u64, more: Value) -> String {
    let mut claims = more;
    claims["exp"] = json!(unix_ms() / 1000 + seconds);
    key.token("k", &claims)
}

fn of_team(key: &Key, team: &str) -> String {
    token(
        key,
        600,
        json!({ "sub": team, "team": team, "aud": "siar" }),
    )
}

/// Open streams of the token, read up to where they are silent.
async fn open(gateway: &Gateway, token: &str, count: usize) -> Vec<Listener> {
    let open = (0..count).map(|n| async move {
        let mut listener = gateway.listen(&format!("c.{n}")).token(token).await;
        listener.cursor().await;
        listener
    });
    join_all(open).await
}

/// All of them must end for `reason` within the promise, from now on.
async fn all_end(listeners: &mut [Listener], reason: &str) {
    let ends = join_all(listeners.iter_mut().map(Listener::end));
    let ends = within_time(PROMISE, format!("{reason} on every stream"), ends).await;
    for end in ends {
        assert_eq!(end.reason, reason);
    }
}

/// Not a byte comes, no comment either.
async fn all_stay(listeners: &mut [Listener]) {
    let watched = join_all(listeners.iter_mut().map(|listener| async {
        let before = listener.transcript();
        let silent = listener.silent_for(WATCH).await;
        (silent, before == listener.transcript())
    }));
    for seen in watched.await {
        assert_eq!(seen, (Ok(()), true));
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does_and_the_leeway_is_over() {
    let key = Key::new(Algorithm::Es256);
    let gateway = serving(&key, &json!([jwt(json!({}))])).await;
    let exp = unix_ms() / 1000 + 1;
    let short = key.token("k", &json!({ "sub": "ana", "exp": exp }));
    let mut ends = open(&gateway, &short, 3).await;
    let mut stay = open(&gateway, &of_team(&key, "blue"), 2).await;
    let ends = join_all(ends.iter_mut().map(|listener| async {
        let end = listener.end().await;
        (end.reason, unix_ms(), listener.retry())
    }));
    let due = (exp + LEEWAY) * 1000;
    for (reason, at, retry) in ends.await {
        assert_eq!(reason, "expired");
        assert!(
            (due..due + 1500).contains(&at),
            "{at} is not soon after {due}"
        );
        assert!(retry.is_some());
    }
    let again = gateway.listen("c").token(&short).refused().await;
    check(&again, 401, "bad-token");
    all_stay(&mut stay).await;
    gateway
        .until_metric("siar_streams_closed_total", &[("reason", "expired")], 3.0)
        .await;
}

#[tokio::test]
async fn within_the_leeway_a_token_opens_a_stream_for_the_rest_of_it() {
    let key = Key::new(Algorithm::Es256);
    let gateway = serving(&key, &json!([jwt(json!({}))])).await;
    let exp = unix_ms() / 1000 - 1;
    let over = key.token("k", &json!({ "sub": "ana", "exp": exp }));
    let mut listener = gateway.listen("c").token(&over).await;
    assert_eq!(listener.end().await.reason, "expired");
    assert!(unix_ms() >= (exp + LEEWAY) * 1000);
    let again = gateway.listen("c").token(&over).refused().await;
    check(&again, 401, "bad-token");
}

#[tokio::test]
async fn who_is_not_admitted_any_more_leaves_two_gateways_within_a_second() {
    let key = Key::new(Algorithm::Es256);
    let before = json!([when("claims.team in ['red', 'blue']")]);
    let after = channel(&json!([when("claims.team == 'blue'")]));
    let gateways = [serving(&key, &before).await, serving(&key, &before).await];
    let (red, blue) = (of_team(&key, "red"), of_team(&key, "blue"));
    let (mut ends, mut stay) = (Vec::new(), Vec::new());
    for gateway in &gateways {
        ends.push(open(gateway, &red, 50).await);
        stay.push(open(gateway, &blue, 50).await);
    }
    let both = gateways.iter().zip(&mut ends).map(|(gateway, ends)| async {
        gateway.apply(&after).await;
        let since = Instant::now();
        all_end(ends, "revoked").await;
        since.elapsed()
    });
    println!(
        "50 revoked streams on each gateway: {:?}",
        join_all(both).await
    );
    for (gateway, stay) in gateways.iter().zip(&mut stay) {
        all_stay(stay).await;
        let refused = gateway.listen("c").token(&red).refused().await;
        check(&refused, 403, "not-admitted");
        let metrics = gateway.metrics().await;
        let closed = metrics.sum("siar_streams_closed_total", &[("channel", "c")]);
        assert_eq!(closed, 50.0);
    }
}

#[tokio::test]
async fn each_part_of_a_rule_that_no_longer_fits_revokes() {
    let key = Key::new(Algorithm::Es256);
    let rules = json!([jwt(json!({ "audiences": ["siar"] }))]);
    let token = of_team(&key, "blue");
    for changed in [
        json!([jwt(json!({ "audiences": ["shop"] }))]),
        json!([jwt(json!({ "issuer": "https://id.example" }))]),
        json!([jwt(json!({ "algorithms": ["ES384"] }))]),
        json!([jwt(
            json!({ "key": { "secretRef": { "name": "keys", "key": "none" } } })
        )]),
        json!([{ "tokens": { "secretRef": { "name": "keys" } } }]),
        json!([{ "anonymous": {} }, jwt(json!({ "audiences": ["shop"] }))]),
        json!([when("false")]),
        json!([]),
    ] {
        let gateway = serving(&key, &rules).await;
        let mut ends = open(&gateway, &token, 2).await;
        println!("{changed}");
        gateway.apply(&channel(&changed)).await;
        all_end(&mut ends, "revoked").await;
    }
    let gateway = serving(&key, &rules).await;
    let mut ends = open(&gateway, &token, 2).await;
    gateway
        .apply_file("keys", &keys(&Key::new(Algorithm::Es256)))
        .await;
    all_end(&mut ends, "revoked").await;
}

#[tokio::test]
async fn rules_that_still_admit_leave_streams_as_they_are() {
    let key = Key::new(Algorithm::Es256);
    let strict = json!({ "audiences": ["siar"] });
    let gateway = serving(&key, &json!([jwt(strict.clone())])).await;
    let mut stay = open(&gateway, &of_team(&key, "blue"), 2).await;
    for changed in [
        json!([jwt(json!({ "audiences": ["siar", "shop"] }))]),
        json!([jwt(json!({ "requireExp": false }))]),
        json!([jwt(json!({ "algorithms": ["RS256", "ES256"] }))]),
        json!([jwt(json!({ "audiences": ["shop"] })), jwt(strict.clone())]),
        json!([when("identity == 'blue'")]),
        json!([jwt(strict), { "anonymous": {} }]),
    ] {
        let before = digest(&gateway).await;
        gateway.apply(&channel(&changed)).await;
        assert_ne!(digest(&gateway).await, before, "{changed} is in force");
        all_stay(&mut stay).await;
    }
}

#[tokio::test]
async fn who_is_admitted_as_somebody_else_comes_back() {
    let key = Key::new(Algorithm::Es256);
    let rules = json!([jwt(json!({}))]);
    let token = of_team(&key, "blue");
    for changed in [
        json!([{ "anonymous": {} }, jwt(json!({}))]),
        json!([{ "anonymous": {} }]),
    ] {
        let gateway = serving(&key, &rules).await;
        let mut rotates = open(&gateway, &token, 2).await;
        gateway.apply(&channel(&changed)).await;
        all_end(&mut rotates, "rotated").await;
        let mut back = open(&gateway, &token, 2).await;
        all_stay(&mut back).await;
    }
}

#[tokio::test]
async fn a_condition_on_what_was_not_kept_rotates_and_decides_anew() {
    let key = Key::new(Algorithm::Es256);
    let gateway = serving(&key, &json!([jwt(json!({}))])).await;
    let (red, blue) = (of_team(&key, "red"), of_team(&key, "blue"));
    let mut rotates = open(&gateway, &red, 2).await;
    rotates.extend(open(&gateway, &blue, 2).await);
    let changed = json!([when("claims.team == 'blue'")]);
    gateway.apply(&channel(&changed)).await;
    all_end(&mut rotates, "rotated").await;
    assert!(rotates.iter().all(|listener| listener.retry().is_some()));
    let mut back = open(&gateway, &blue, 2).await;
    let refused = gateway.listen("c").token(&red).refused().await;
    check(&refused, 403, "not-admitted");
    // A header was not kept either; the token still must fit.
    let header = json!([when("request.headers['x-team'] == 'blue'")]);
    gateway.apply(&channel(&header)).await;
    all_end(&mut back, "rotated").await;
    let listen = gateway.listen("c").token(&blue);
    let refused = listen.clone().refused().await;
    check(&refused, 403, "not-admitted");
    let mut kept = listen.header("X-Team", "blue").await;
    kept.cursor().await;
    // Now it is kept, and the same stream is judged by another value of it.
    let other = json!([when("request.headers['x-team'] == 'red'")]);
    gateway.apply(&channel(&other)).await;
    all_end(&mut [kept], "revoked").await;
}

#[tokio::test]
async fn conditions_that_cannot_be_evaluated_deny_and_are_counted() {
    let key = Key::new(Algorithm::Es256);
    let rules = json!([when("claims.absent == 'x'"), when("claims.team > 3")]);
    let gateway = serving(&key, &rules).await;
    let errors = |count| {
        let labels = [("channel_namespace", "default"), ("channel", "c")];
        let gateway = &gateway;
        async move {
            let name = "siar_access_condition_errors_total";
            gateway.until_metric(name, &labels, count).await;
        }
    };
    errors(0.0).await;
    for time in 1..=3_u8 {
        let listen = gateway.listen("c").token(&of_team(&key, "blue"));
        check(&listen.refused().await, 403, "not-admitted");
        errors(2.0 * f64::from(time)).await;
    }
    check(&gateway.listen("c").refused().await, 401, "no-token");
    errors(6.0).await;
    // What does not hold is no error.
    gateway
        .apply(&channel(&json!([when("claims.team == 'red'")])))
        .await;
    let listen = gateway.listen("c").token(&of_team(&key, "blue"));
    check(&listen.refused().await, 403, "not-admitted");
    errors(6.0).await;
}
