//! Issuers and webhooks at addresses that `--allow-targets` does not name: the gateway does not go there.

use super::{Came, channel, stream, token};
use crate::{Channel, Gateway, GatewaySetup};
use serde_json::json;
use tests::issuer::{Algorithm, Issuer, Jwks, Key};
use tests::webhook::{Verdict, Webhook};

/// Spellings of 127.0.0.1 that resolvers or parsers of URLs know.
const LOOPBACK: [&str; 9] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "localhost",
    "LocalHost.",
];

/// The same, and the plain name of this machine: the resolver says where it leads.
fn hosts() -> Vec<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let hosts = LOOPBACK.into_iter().chain([name.trim()]);
    hosts.map(str::to_owned).collect()
}

/// Nobody is let in, and neither is anybody sent away for good: the Channel is refused, or its answer will pass.
async fn stays_outside(gateway: &Gateway, topic: &str, token: &str) {
    match stream(gateway.listen(topic).token(token)).await {
        Came::In => panic!("{topic} was asked"),
        Came::Later => {}
        Came::Wrong(what) => {
            assert!(what.contains("unknown-topic"), "{topic}: {what}");
            let channel = format!("default/{topic}");
            gateway.until_logged(&[&channel, "TargetRefused"]).await;
        }
    }
}

#[tokio::test]
async fn only_issuers_at_allowed_addresses_are_asked() {
    let (inside, outside) = (Issuer::start_on("127.0.0.2").await, Issuer::start().await);
    let led = Issuer::start_on("127.0.0.2").await;
    let key = Key::new(Algorithm::Es256);
    for issuer in [&inside, &outside] {
        issuer.serve(Jwks::Keys(vec![key.jwk("k")]));
    }
    led.serve(Jwks::Redirect(outside.url()));
    let (port, hosts) = (outside.address().port(), hosts());
    let mut setup = GatewaySetup::new()
        .flag("--allow-targets", "127.0.0.2/32")
        .channel(&channel("inside", &inside.url()))
        .channel(&channel("led", &led.url()));
    for (at, host) in hosts.iter().enumerate() {
        let url = format!("http://{host}:{port}/jwks");
        setup = setup.channel(&channel(&format!("outside{at}"), &url));
    }
    let gateway = setup.start().await;
    let token = token(&key, "k");
    let listen = |topic: &str| gateway.listen(topic).token(&token);
    assert_eq!(stream(listen("inside")).await, Came::In);
    assert_eq!(stream(listen("led")).await, Came::Later);
    for at in 0..hosts.len() {
        stays_outside(&gateway, &format!("outside{at}"), &token).await;
    }
    assert_eq!(outside.fetches().len(), 0, "it stands on 127.0.0.1");
    assert_eq!((inside.fetches().len(), led.fetches().len()), (1, 1));
}

#[tokio::test]
async fn only_webhooks_at_allowed_addresses_are_asked() {
    let outside = Webhook::start().await;
    let [inside, led] = [
        Webhook::start_on("127.0.0.2").await,
        Webhook::start_on("127.0.0.2").await,
    ];
    led.answer(Verdict::Redirect(outside.url()));
    let asking = |name: &str, url: &str| {
        let rule = json!([{ "webhook": { "url": url } }]);
        Channel::closed(name).with("access", json!({ "subscribe": rule }))
    };
    let mut setup = GatewaySetup::new()
        .flag("--allow-targets", "127.0.0.2/32")
        .channel(&asking("inside", &inside.url()))
        .channel(&asking("led", &led.url()));
    let (port, hosts) = (outside.address().port(), hosts());
    for (at, host) in hosts.iter().enumerate() {
        let url = format!("http://{host}:{port}/allow");
        setup = setup.channel(&asking(&format!("outside{at}"), &url));
    }
    let gateway = setup.start().await;
    let listen = |topic: &str| gateway.listen(topic).token("a-token-for-the-webhook");
    assert_eq!(stream(listen("inside")).await, Came::In);
    assert_eq!(stream(listen("led")).await, Came::Later);
    for at in 0..hosts.len() {
        stays_outside(&gateway, &format!("outside{at}"), "a-token-for-the-webhook").await;
    }
    assert_eq!(outside.asked().len(), 0, "it stands on 127.0.0.1");
    assert_eq!((inside.asked().len(), led.asked().len()), (1, 1));
}
