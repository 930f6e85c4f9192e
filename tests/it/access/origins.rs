//! Which pages may read and publish: listed origins, any origin, a Channel's own, and what a browser asks before.
//! A cookie counts only where the page that made the browser send it is known.

use super::{ANA, check, cookie, guarded, serving};
use crate::{Channel, Gateway};
use tests::http::{Answer, Ask};

const SHOP: &str = "https://shop.example";
const EVIL: &str = "https://evil.example";

/// The lines that a browser reads.
#[derive(Debug, PartialEq, Eq)]
struct Cors<'a> {
    origin: Option<&'a str>,
    credentials: Option<&'a str>,
}

const NOTHING: Cors<'_> = Cors {
    origin: None,
    credentials: None,
};

fn cors(headers: &[(String, String)]) -> Cors<'_> {
    let line = |wanted: &str| {
        let mut lines = headers.iter().filter(|(name, _)| name == wanted);
        let line = lines.next().map(|(_, value)| value.as_str());
        assert!(lines.next().is_none(), "{wanted} stands twice: {headers:?}");
        line
    };
    let vary = line("vary").unwrap_or_default();
    assert!(vary.eq_ignore_ascii_case("origin"), "{headers:?}");
    Cors {
        origin: line("access-control-allow-origin"),
        credentials: line("access-control-allow-credentials"),
    }
}

fn post(gateway: &Gateway) -> Ask {
    gateway.post(&[("channel", "c")], "x")
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str) -> Answer {
    Ask::new(gateway.public(), "OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization")
        .send()
        .await
}

#[tokio::test]
async fn a_listed_origin_is_echoed_with_credentials() {
    let gateway = serving(&guarded().origins(&[SHOP])).await;
    let echoed = Cors {
        origin: Some(SHOP),
        credentials: Some("true"),
    };
    let listener = cookie(gateway.listen("c"), ANA).origin(SHOP).await;
    assert_eq!(cors(&listener.headers), echoed);
    let publish = post(&gateway).header("Cookie", &format!("siar_token={ANA}"));
    let answer = publish.header("Origin", SHOP).send().await.expect(200);
    assert_eq!(cors(&answer.headers), echoed);
    let refused = gateway.listen("c").origin(SHOP).refused().await;
    check(&refused, 401, "no-token");
    assert_eq!(cors(&refused.headers), echoed, "a page may read why");
}

#[tokio::test]
async fn any_origin_may_read_without_credentials_and_cookies_do_not_count() {
    let gateway = serving(&guarded().origins(&["*"])).await;
    let star = Cors {
        origin: Some("*"),
        credentials: None,
    };
    let listener = gateway.listen("c").token(ANA).origin(EVIL).await;
    assert_eq!(cors(&listener.headers), star);
    let refused = cookie(gateway.listen("c"), ANA)
        .origin(EVIL)
        .refused()
        .await;
    check(&refused, 401, "no-token");
    assert_eq!(cors(&refused.headers), star);
    let publish = post(&gateway).header("Cookie", &format!("siar_token={ANA}"));
    let answer = publish.header("Origin", EVIL).send().await;
    check(&answer, 401, "no-token");
    let without_origin = cookie(gateway.listen("c"), ANA).await;
    assert_eq!(cors(&without_origin.headers), NOTHING);
}

#[tokio::test]
async fn beside_any_origin_a_listed_one_still_has_credentials() {
    let gateway = serving(&guarded().origins(&["*", SHOP])).await;
    let listener = cookie(gateway.listen("c"), ANA).origin(SHOP).await;
    assert_eq!(cors(&listener.headers).credentials, Some("true"));
}

#[tokio::test]
async fn a_foreign_origin_is_refused_whatever_it_brings() {
    let gateway = serving(&guarded().origins(&[SHOP])).await;
    let foreign = [EVIL, "null", "https://shop.example.evil.example"];
    for origin in foreign.into_iter().chain(["http://shop.example"]) {
        let refused = gateway
            .listen("c")
            .token(ANA)
            .origin(origin)
            .refused()
            .await;
        check(&refused, 403, "origin");
        assert_eq!(cors(&refused.headers), NOTHING, "{origin}");
        let publish = post(&gateway).token(ANA).header("Origin", origin);
        let answer = publish.send().await;
        check(&answer, 403, "origin");
        assert_eq!(cors(&answer.headers), NOTHING, "{origin}");
    }
}

#[tokio::test]
async fn an_open_channel_is_for_pages_of_its_own_site_unless_it_lists_others() {
    let gateway = serving(&Channel::open("c")).await;
    check(
        &gateway.listen("c").origin(EVIL).refused().await,
        403,
        "origin",
    );
    let own = format!("http://{}", gateway.public());
    let listener = gateway.listen("c").origin(&own).await;
    assert_eq!(cors(&listener.headers), NOTHING);
}

#[tokio::test]
async fn a_page_of_the_requests_own_host_may_listen_and_publish_by_cookie() {
    let gateway = serving(&guarded()).await;
    let own = format!("http://{}", gateway.public());
    let mut listener = cookie(gateway.listen("c"), ANA).origin(&own).await;
    let publish = post(&gateway).header("Cookie", &format!("siar_token={ANA}"));
    let _ = publish.header("Origin", &own).send().await.expect(200);
    assert_eq!(listener.next().await.data, "x");
    let other_port = format!("http://{}:1", gateway.public().ip());
    let refused = gateway.listen("c").token(ANA).origin(&other_port);
    check(&refused.refused().await, 403, "origin");
}

#[tokio::test]
async fn publishing_by_cookie_needs_an_origin_and_by_header_none() {
    let gateway = serving(&guarded().origins(&[SHOP])).await;
    let mut listener = gateway.listen("c").token(ANA).await;
    let by_cookie = post(&gateway).header("Cookie", &format!("siar_token={ANA}"));
    check(&by_cookie.clone().send().await, 403, "origin");
    assert_eq!(by_cookie.token(ANA).send().await.status, 200);
    assert_eq!(listener.next().await.data, "x");
    let once = listener.silent_for(std::time::Duration::from_millis(300));
    assert_eq!(once.await, Ok(()), "the refused one was not published");
}

#[tokio::test]
async fn a_preflight_tells_a_listed_origin_what_it_may_send() {
    let gateway = serving(&guarded().origins(&[SHOP])).await;
    for path in ["/publish?channel=c", "/publish", "/stream?channel=c"] {
        let answer = preflight(&gateway, path, SHOP).await;
        assert!((200..300).contains(&answer.status), "{path}");
        assert!(answer.body.is_empty(), "{path}");
        assert_eq!(cors(&answer.headers).origin, Some(SHOP), "{path}");
        assert_eq!(cors(&answer.headers).credentials, Some("true"));
        assert_eq!(
            answer.header("access-control-allow-methods"),
            Some("GET, POST")
        );
        let allowed = answer.header("access-control-allow-headers").unwrap();
        assert_eq!(
            allowed,
            "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Cache-Control"
        );
    }
}

#[tokio::test]
async fn a_preflight_tells_a_foreign_origin_nothing() {
    let gateway = serving(&guarded().origins(&[SHOP])).await;
    for path in ["/publish?channel=c", "/publish", "/stream?channel=c"] {
        let answer = preflight(&gateway, path, EVIL).await;
        assert_eq!(cors(&answer.headers), NOTHING, "{path}");
        for name in ["methods", "headers"] {
            let name = format!("access-control-allow-{name}");
            assert_eq!(answer.header(&name), None, "{path}");
        }
    }
}

#[tokio::test]
async fn a_preflight_without_a_channel_asks_for_the_whole_namespace() {
    let gateway = serving(&guarded().origins(&[SHOP])).await;
    gateway
        .apply(&Channel::open("other").origins(&["https://other.example"]))
        .await;
    let publish = |origin: &'static str| preflight(&gateway, "/publish", origin);
    for origin in [SHOP, "https://other.example"] {
        let answer = publish(origin).await;
        assert_eq!(cors(&answer.headers).origin, Some(origin));
    }
    let denied = post(&gateway)
        .token(ANA)
        .header("Origin", "https://other.example");
    check(&denied.send().await, 403, "origin");
}
