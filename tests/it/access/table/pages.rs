//! Pages of other sites: what a browser sends by itself, cookies above all, must not be enough.

use super::visit::Visit;
use super::world::{SHOP, World};
use super::{AS_ANA, Case, Expected, NO_TOKEN, OK, ORIGIN, ana};

const EVIL: &str = "https://evil.example";

pub fn cases(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    let own = format!("http://{}", world.gateway.public());
    [
        streams(&token, &own),
        any_origin(&token, &own),
        look_alikes(&token),
        posts(&token, &own),
        other_posts(&token),
        others(&token),
        preflights(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn streams(token: &str, own: &str) -> Vec<Case> {
    let cookie = |channel: &str| Visit::channel(channel).cookie(token);
    let header = |channel: &str| Visit::channel(channel).token(token);
    let query = |channel: &str| Visit::channel(channel).access_token(token);
    vec![
        Case::new("a cookie without Origin", cookie("shop"), AS_ANA),
        Case::new(
            "a cookie from the listed origin",
            cookie("shop").origin(SHOP),
            AS_ANA,
        ),
        Case::new(
            "a cookie from its own origin",
            cookie("shop").origin(own),
            AS_ANA,
        ),
        Case::new(
            "a cookie from a foreign origin",
            cookie("shop").origin(EVIL),
            ORIGIN,
        ),
        Case::new(
            "a cookie from a foreign origin, none listed",
            cookie("own").origin(EVIL),
            ORIGIN,
        ),
        Case::new(
            "a cookie from the origin null",
            cookie("shop").origin("null"),
            ORIGIN,
        ),
        Case::new(
            "a token from a foreign origin",
            header("shop").origin(EVIL),
            ORIGIN,
        ),
        Case::new(
            "a parameter from a foreign origin",
            query("shop").origin(EVIL),
            ORIGIN,
        ),
        Case::new(
            "nothing from a foreign origin on an open Channel",
            Visit::channel("open").origin(EVIL),
            ORIGIN,
        ),
    ]
}

/// Where any origin may read, cookies do not count.
fn any_origin(token: &str, own: &str) -> Vec<Case> {
    let cookie = |channel: &str| Visit::channel(channel).cookie(token);
    let header = |channel: &str| Visit::channel(channel).token(token);
    let query = |channel: &str| Visit::channel(channel).access_token(token);
    vec![
        Case::new(
            "a cookie from any origin",
            cookie("star").origin(EVIL),
            NO_TOKEN,
        ),
        Case::new(
            "a cookie from the origin null, any listed",
            cookie("star").origin("null"),
            NO_TOKEN,
        ),
        Case::new(
            "a token from any origin",
            header("star").origin(EVIL),
            AS_ANA,
        ),
        Case::new(
            "a parameter from any origin",
            query("star").origin(EVIL),
            AS_ANA,
        ),
        Case::new(
            "a cookie from its own origin, any listed",
            cookie("star").origin(own),
            AS_ANA,
        ),
        Case::new(
            "a listed and an unlisting Channel together",
            cookie("shop").query("channel", "own.x").origin(SHOP),
            ORIGIN,
        ),
        Case::new(
            "a listed Channel and one for any origin together",
            cookie("shop").query("channel", "star.x").origin(SHOP),
            NO_TOKEN,
        ),
    ]
}

/// Origins that only look like the listed one, or like the gateway's own.
fn look_alikes(token: &str) -> Vec<Case> {
    let foreign = [
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://shop.example@evil.example",
        "https://evil.example/https://shop.example",
        "https://shop.example/",
        "https://shopXexample",
        "https://notshop.example",
        "https://www.shop.example",
        "https://shop.example https://evil.example",
        "https://shop.example, https://evil.example",
        "shop.example",
        "//shop.example",
        "https://",
        "file://",
        "*",
        "",
    ];
    let mut cases: Vec<Case> = foreign
        .into_iter()
        .map(|origin| {
            let visit = Visit::channel("shop").cookie(token).origin(origin);
            Case::new(format!("a cookie from {origin:?}"), visit, ORIGIN)
        })
        .collect();
    let upper = Visit::channel("shop")
        .cookie(token)
        .origin("HTTPS://SHOP.EXAMPLE");
    cases.push(Case::new("the listed origin in capitals", upper, AS_ANA));
    let host = Visit::channel("shop").cookie(token).origin(EVIL);
    let forwarded = host.header("X-Forwarded-Host", "evil.example");
    cases.push(Case::new(
        "a foreign origin that is the forwarded host",
        forwarded,
        ORIGIN,
    ));
    let two = Visit::channel("shop")
        .cookie(token)
        .origin(EVIL)
        .origin(SHOP);
    cases.push(Case::new(
        "a foreign origin before the listed one",
        two,
        Expected::TurnedAway,
    ));
    cases
}

fn posts(token: &str, own: &str) -> Vec<Case> {
    let post = |channel: &str| Visit::channel(channel).at("/publish");
    vec![
        Case::new(
            "a POST with a cookie and no Origin",
            post("shop").cookie(token),
            ORIGIN,
        ),
        Case::new(
            "the same where any origin is listed",
            post("star").cookie(token),
            ORIGIN,
        ),
        Case::new(
            "the same with a bad cookie",
            post("shop").cookie("x"),
            ORIGIN,
        ),
        Case::new(
            "a POST with a cookie from the listed origin",
            post("shop").cookie(token).origin(SHOP),
            OK,
        ),
        Case::new(
            "a POST with a cookie from its own origin",
            post("own").cookie(token).origin(own),
            OK,
        ),
        Case::new(
            "a POST with a cookie from a foreign origin",
            post("shop").cookie(token).origin(EVIL),
            ORIGIN,
        ),
        Case::new(
            "a POST with a cookie from the origin null",
            post("shop").cookie(token).origin("null"),
            ORIGIN,
        ),
        Case::new(
            "a POST with a cookie from any origin",
            post("star").cookie(token).origin(EVIL),
            NO_TOKEN,
        ),
    ]
}

/// A token in the header is no page's doing, and odd requests are still POSTs.
fn other_posts(token: &str) -> Vec<Case> {
    let post = |channel: &str| Visit::channel(channel).at("/publish");
    vec![
        Case::new(
            "a POST with a token from any origin",
            post("star").token(token).origin(EVIL),
            OK,
        ),
        Case::new(
            "a POST with a token from a foreign origin",
            post("shop").token(token).origin(EVIL),
            ORIGIN,
        ),
        Case::new(
            "a POST with a token and no Origin",
            post("shop").token(token),
            OK,
        ),
        Case::new(
            "a POST with a token and its cookie and no Origin",
            post("shop").token(token).cookie(token),
            OK,
        ),
        Case::new(
            "a POST of a form from a foreign origin",
            post("shop")
                .cookie(token)
                .origin(EVIL)
                .header("Content-Type", "text/plain"),
            ORIGIN,
        ),
        Case::new(
            "a POST with a Referer and no Origin",
            post("shop")
                .cookie(token)
                .header("Referer", &format!("{SHOP}/")),
            ORIGIN,
        ),
        Case::new(
            "a POST that calls itself a GET",
            post("shop")
                .cookie(token)
                .header("X-HTTP-Method-Override", "GET"),
            ORIGIN,
        ),
        Case::new(
            "a POST to two Channels, one of them foreign",
            post("shop")
                .query("channel", "own.x")
                .cookie(token)
                .origin(SHOP),
            ORIGIN,
        ),
    ]
}

fn others(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in ["/history", "/presence"] {
        for (from, channel, origin, expected) in [
            ("the listed origin", "shop", SHOP, OK),
            ("a foreign origin", "shop", EVIL, ORIGIN),
            ("any origin", "star", EVIL, NO_TOKEN),
        ] {
            let name = format!("{path} with a cookie from {from}");
            let visit = Visit::channel(channel).at(path).cookie(token);
            cases.push(Case::new(name, visit.origin(origin), expected));
        }
    }
    cases
}

fn preflights() -> Vec<Case> {
    let ask = |channel: &str, path: &str, origin: &str| {
        Visit::channel(channel).at(path).preflight(origin)
    };
    let mut cases = Vec::new();
    for path in [
        "/stream",
        "/publish",
        "/history",
        "/presence",
        "/default/publish",
    ] {
        let name = |what: &str| format!("a preflight for {path} from {what}");
        cases.push(Case::new(
            name("the listed origin"),
            ask("shop", path, SHOP),
            Expected::Allowed(SHOP),
        ));
        cases.push(Case::new(
            name("a foreign origin"),
            ask("shop", path, EVIL),
            Expected::Silent,
        ));
        cases.push(Case::new(
            name("any origin"),
            ask("star", path, EVIL),
            Expected::Allowed("*"),
        ));
    }
    let null = ask("shop", "/publish", "null");
    cases.push(Case::new(
        "a preflight from the origin null",
        null,
        Expected::Silent,
    ));
    let open = ask("open", "/publish", EVIL);
    cases.push(Case::new(
        "a preflight for an open Channel from elsewhere",
        open,
        Expected::Silent,
    ));
    let two = ask("shop", "/publish", SHOP).query("channel", "own.x");
    cases.push(Case::new(
        "a preflight for two Channels, one of them foreign",
        two,
        Expected::Silent,
    ));
    cases
}
