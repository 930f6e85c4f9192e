//! Issuers in trouble and issuers that rotate: who has a good token is let in or told to come back, never sent away.

use crate::{Channel, Gateway, GatewaySetup};
use serde_json::json;
use std::time::{Duration, Instant};
use tests::http::{Answer, Ask, query};
use tests::issuer::{Algorithm, Issuer, Jwks, Key};
use tests::listen::Listen;
use tests::sse::Item;
use tests::wait::{unix_ms, until_time, within};

mod rotation; // a minute of it
mod targets; // where the gateway does not go

/// How a visitor was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    In,
    /// What passes: a stream that ends at once with `unavailable`, or 503; both say when to come back.
    Later,
    /// Anything else, in words.
    Wrong(String),
}

/// A Channel for tokens of an issuer, and for publishers with one.
fn channel(name: &str, url: &str) -> Channel {
    let rule = json!([{ "jwt": { "jwks": { "url": url }, "algorithms": ["ES256"] } }]);
    Channel::closed(name).with("access", json!({ "subscribe": rule, "publish": rule }))
}

fn token(key: &Key, kid: &str) -> String {
    let exp = unix_ms() / 1000 + 600;
    key.token(kid, &json!({ "sub": "ana", "exp": exp }))
}

/// Asks for a stream as an `EventSource` does.
async fn stream(listen: Listen) -> Came {
    let mut listener = match within("an answer", listen.try_open()).await {
        Ok(Ok(listener)) => listener,
        Ok(Err(answer)) => return Came::Wrong(format!("{} {}", answer.status, answer.text())),
        Err(error) => return Came::Wrong(error.to_string()),
    };
    loop {
        match within("the begin of a stream", listener.read()).await {
            Some(Item::Cursor(_)) => return Came::In,
            Some(Item::Event(event)) if event.kind == "siar.end" => {
                let advised = listener.retry().is_some_and(|retry| retry >= 100);
                if advised && event.data.contains("\"unavailable\"") {
                    return Came::Later;
                }
                return Came::Wrong(listener.transcript());
            }
            Some(_) => {}
            None => return Came::Wrong(format!("an end: {}", listener.transcript())),
        }
    }
}

/// What others were answered.
fn came(answer: &Answer) -> Came {
    let advised = answer.header("retry-after").is_some();
    match answer.status {
        200 => Came::In,
        503 if advised && answer.word() == "unavailable" => Came::Later,
        status => Came::Wrong(format!("{status} {}", answer.text())),
    }
}

async fn history(gateway: &Gateway, topic: &str, token: &str) -> Came {
    let path = format!("/history{}", query(&[("channel", topic)]));
    came(&Ask::get(gateway.public(), &path).token(token).send().await)
}

async fn publish(gateway: &Gateway, topic: &str, token: &str) -> Came {
    let post = gateway.post(&[("channel", topic)], "x").token(token);
    came(&post.send().await)
}

/// Every kind of trouble, by the name of its Channel.
async fn troubled(elsewhere: &Issuer) -> Vec<(&'static str, Issuer)> {
    let mut all = Vec::new();
    for (name, jwks) in [
        ("hangs", Jwks::Hangs),
        ("endless", Jwks::Endless),
        ("status", Jwks::Status(500)),
        ("absent", Jwks::Status(404)),
        ("page", Jwks::NotJson),
        ("redirect", Jwks::Redirect(elsewhere.url())),
        ("empty", Jwks::Keys(Vec::new())),
        (
            "symmetric",
            Jwks::Keys(vec![Key::new(Algorithm::Hs256).jwk("k")]),
        ),
    ] {
        let issuer = Issuer::start().await;
        issuer.serve(jwks);
        all.push((name, issuer));
    }
    all
}

/// The most memory that the process ever had, in MiB.
fn peak_mib(gateway: &mut Gateway) -> u64 {
    let path = format!("/proc/{}/status", gateway.process().pid());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .unwrap();
    kib / 1024
}

/// Asks in each way at once.
async fn ask_all(gateway: &Gateway, topic: &str, token: &str) -> [Came; 3] {
    let listen = gateway.listen(topic).token(token);
    tokio::join!(
        stream(listen),
        history(gateway, topic, token),
        publish(gateway, topic, token)
    )
    .into()
}

#[tokio::test]
async fn an_issuer_in_trouble_costs_nobody_a_good_token_and_others_nothing() {
    let elsewhere = Issuer::start().await;
    let key = Key::new(Algorithm::Es256);
    let keys = || Jwks::Keys(vec![key.jwk("k")]);
    elsewhere.serve(keys());
    let issuers = troubled(&elsewhere).await;
    let mut setup = GatewaySetup::new().channel(&Channel::open("open"));
    for (name, issuer) in &issuers {
        setup = setup.channel(&channel(name, &issuer.url()));
    }
    let mut gateway = setup.start().await;
    let before = peak_mib(&mut gateway);
    let token = token(&key, "k");
    let mut listener = gateway.listen("open").await;
    let asked = issuers
        .iter()
        .map(|(name, _)| ask_all(&gateway, name, &token));
    let asked = futures_util::future::join_all(asked);
    let undisturbed = async {
        for round in 0..20 {
            let since = Instant::now();
            gateway.publish("open", round.to_string()).await;
            assert_eq!(listener.next().await.data, round.to_string());
            let took = since.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (answers, ()) = tokio::join!(asked, undisturbed);
    for ((name, issuer), answers) in issuers.iter().zip(answers) {
        assert_eq!(answers, [Came::Later, Came::Later, Came::Later], "{name}");
        assert_eq!(issuer.fetches().len(), 1, "{name}");
    }
    let errors = gateway
        .metrics()
        .await
        .sum("siar_jwks_fetches_total", &[("result", "error")]);
    assert_eq!(errors, 8.0);
    assert!(elsewhere.fetches().is_empty(), "a redirect was followed");
    let grown = peak_mib(&mut gateway) - before;
    assert!(grown < 32, "{grown} MiB more for an answer of 100 MiB");
    // Each is forgiven as soon as it serves keys.
    for (name, issuer) in &issuers {
        issuer.serve(keys());
        until_time(
            Duration::from_secs(25),
            format!("{name} to recover"),
            || async {
                match stream(gateway.listen(name).token(&token)).await {
                    Came::In => Ok(()),
                    Came::Later => Err("come later".into()),
                    Came::Wrong(what) => panic!("{name}: {what}"),
                }
            },
        )
        .await;
        let fetches = issuer.fetches();
        let wait = fetches[1].duration_since(fetches[0]);
        assert!(wait >= Duration::from_secs(9), "{name}: {wait:?}");
    }
}

#[tokio::test]
async fn many_visitors_of_an_issuer_that_hangs_are_one_question() {
    let issuer = Issuer::start().await;
    issuer.serve(Jwks::Hangs);
    let key = Key::new(Algorithm::Es256);
    let gateway = Gateway::serving(&channel("c", &issuer.url())).await;
    issuer.until_waiting(1).await;
    let token = token(&key, "k");
    let asked = (0..60).map(|_| stream(gateway.listen("c").token(&token)));
    let asked = futures_util::future::join_all(asked);
    let answer = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(issuer.fetches().len(), 1);
        issuer.serve(Jwks::Keys(vec![key.jwk("k")]));
    };
    let (answers, ()) = tokio::join!(asked, answer);
    assert_eq!(answers, vec![Came::In; 60], "all wait for the one answer");
    assert_eq!(issuer.fetches().len(), 1);
}
