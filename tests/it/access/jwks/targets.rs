//! Issuers at addresses that `--allow-targets` does not name: the gateway does not go there.

use super::{Came, channel, stream, token};
use crate::GatewaySetup;
use tests::issuer::{Algorithm, Issuer, Jwks, Key};

#[tokio::test]
async fn only_issuers_at_allowed_addresses_are_asked() {
    let (inside, outside) = (Issuer::start_on("127.0.0.2").await, Issuer::start().await);
    let led = Issuer::start_on("127.0.0.2").await;
    let key = Key::new(Algorithm::Es256);
    for issuer in [&inside, &outside] {
        issuer.serve(Jwks::Keys(vec![key.jwk("k")]));
    }
    led.serve(Jwks::Redirect(outside.url()));
    let port = outside.address().port();
    let mut setup = GatewaySetup::new().flag("--allow-targets", "127.0.0.2/32");
    setup = setup
        .channel(&channel("inside", &inside.url()))
        .channel(&channel("led", &led.url()));
    // A plain name, of this machine; the resolver says where it leads.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let hosts = [
        name.trim(),
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
    for (at, host) in hosts.into_iter().enumerate() {
        let url = format!("http://{host}:{port}/jwks");
        setup = setup.channel(&channel(&format!("outside{at}"), &url));
    }
    let gateway = setup.start().await;
    let token = token(&key, "k");
    let listen = |topic: &str| gateway.listen(topic).token(&token);
    assert_eq!(stream(listen("inside")).await, Came::In);
    assert_eq!(stream(listen("led")).await, Came::Later);
    for (at, host) in hosts.into_iter().enumerate() {
        let topic = format!("outside{at}");
        match stream(listen(&topic)).await {
            Came::In => panic!("{host} was asked"),
            Came::Later => {}
            // The Channel itself was refused.
            Came::Wrong(what) => {
                assert!(what.contains("unknown-topic"), "{host}: {what}");
                let channel = format!("default/{topic}");
                gateway.until_logged(&[&channel, "TargetRefused"]).await;
            }
        }
    }
    assert_eq!(outside.fetches().len(), 0, "it stands on 127.0.0.1");
    assert_eq!((inside.fetches().len(), led.fetches().len()), (1, 1));
}
