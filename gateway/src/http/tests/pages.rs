//! Pages of other sites.

use super::*;
use crate::fixtures::ANA;

#[tokio::test]
async fn pages_of_other_sites_may_only_what_is_listed() {
    let world = usual();
    let page = [
        ("origin", "https://page.example"),
        ("host", "gateway.example"),
    ];
    let evil = [
        ("origin", "https://evil.example"),
        ("host", "gateway.example"),
    ];
    let read = world.ask("GET /history?channel=listed", &page, "").await;
    assert_eq!(read.status, 200);
    assert_eq!(
        read.header("access-control-allow-origin"),
        "https://page.example"
    );
    assert_eq!(
        (
            read.header("access-control-allow-credentials"),
            read.header("vary")
        ),
        ("true", "Origin")
    );
    for line in [
        "GET /history?channel=listed",
        "GET /stream?channel=listed",
        "POST /publish?channel=listed",
    ] {
        let refused = world.refused(line, &evil, 403, "origin").await;
        assert_eq!(refused.header("access-control-allow-origin"), "");
    }
    let unknown = world
        .refused("GET /stream?channel=none", &page, 404, "unknown-topic")
        .await;
    assert_eq!(
        unknown.header("access-control-allow-origin"),
        "https://page.example"
    );
    let own = [
        ("origin", "https://gateway.example"),
        ("host", "gateway.example"),
    ];
    assert_eq!(
        world
            .ask("POST /publish?channel=listed", &own, "x")
            .await
            .status,
        200
    );
    let cookie = [("cookie", "siar_token=x")];
    world
        .refused("POST /publish?channel=listed", &cookie, 403, "origin")
        .await;
}

#[tokio::test]
async fn a_preflight_answers_for_the_named_or_for_all() {
    let world = usual();
    let page = [
        ("origin", "https://page.example"),
        ("host", "gateway.example"),
    ];
    for (line, allowed) in [
        ("OPTIONS /stream?channel=listed", "https://page.example"),
        ("OPTIONS /publish", "https://page.example"),
        ("OPTIONS /stream?channel=open", ""),
        ("OPTIONS /other/publish", ""),
    ] {
        let answer = world.ask(line, &page, "").await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (204, allowed)
        );
        let headers = answer.header("access-control-allow-headers");
        assert_eq!(
            headers.contains("Last-Event-ID"),
            !allowed.is_empty(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_page_of_our_own_reads_with_its_cookie_and_posts_only_with_its_origin() {
    let world = usual();
    let cookie = format!("siar_token={ANA}");
    // As a browser asks for what is of the same origin: GET without Origin, POST with it.
    let get = [("cookie", &*cookie)];
    for line in [
        "GET /presence?channel=closed",
        "GET /history?channel=closed",
    ] {
        assert_eq!(world.ask(line, &get, "").await.status, 200, "{line}");
    }
    world
        .refused("POST /publish?channel=closed", &get, 403, "origin")
        .await;
    let post = [
        ("cookie", &*cookie),
        ("origin", "https://gateway.example"),
        ("host", "gateway.example"),
    ];
    let posted = world.ask("POST /publish?channel=closed", &post, "x").await;
    assert_eq!(posted.status, 200, "{}", posted.text);
}
