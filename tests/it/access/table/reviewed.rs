//! Whom a webhook or the cluster lets in. What the webhook answers stands in the topic: `hook.<answer>.<case>`.

use super::visit::Visit;
use super::world::{BEN, OFFICE, PROXY, SHOP, World};
use super::{
    ANYBODY, AS_ANA, BAD_TOKEN, Case, Expected, NO_TOKEN, NOT_ADMITTED, OK, ORIGIN, TWO_TOKENS,
    UNAVAILABLE, ana, ana_with, seconds_from_now,
};
use serde_json::json;
use tests::issuer::{base64url, parts};
use tests::scripted::Asked;
use tests::webhook::Verdict;

const HOOKED: &str = "a-token-that-the-webhook-knows";
const AS_HOOKED: Expected = Expected::Stream(Some("hooked"));
const AS_READER: Expected = Expected::Stream(Some("system:serviceaccount:shop:reader"));

pub fn cases(world: &World) -> Vec<Case> {
    [
        told(),
        told_of_requests(),
        answers(),
        beside(world),
        accounts(world),
        forged_accounts(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How the webhook of the table answers.
pub fn verdict(asked: &Asked) -> Verdict {
    let question = asked.json();
    let topic = question["topics"][0].as_str().unwrap_or_default();
    let yes = |right: bool| match right {
        true => Verdict::allow_as("hooked"),
        false => Verdict::deny("no"),
    };
    let body = Verdict::Body;
    let at = |seconds: i64| Verdict::Allow {
        identity: Some("hooked".into()),
        expires: Some(json!(seconds_from_now(seconds))),
    };
    match topic.split('.').nth(1).unwrap_or_default() {
        "token" => yes(question["token"] == HOOKED),
        "anybody" => Verdict::allow(),
        "ip" => yes(question["ip"] == OFFICE),
        "origin" => yes(question["origin"] == SHOP),
        "path" => yes(question["path"] == "/default/stream"),
        "action" => yes(question["action"] == "publish"),
        "known" => body(json!({ "allow": false, "identity": "eve" })),
        "over" => at(-60),
        "soon" => at(60),
        "text" => body(json!({ "allow": "true" })),
        "number" => body(json!({ "allow": 1 })),
        "nothing" => body(json!({})),
        "list" => body(json!([true])),
        "lines" => body(json!({ "allow": true, "identity": "a\r\nb" })),
        "unnamed" => body(json!({ "allow": true, "identity": "" })),
        "long" => body(json!({ "allow": true, "identity": "x".repeat(300) })),
        "date" => body(json!({ "allow": true, "expires": "tomorrow" })),
        "created" => Verdict::Status(201),
        "forbidden" => Verdict::Status(403),
        "broken" => Verdict::Status(500),
        "redirect" => Verdict::Redirect(format!("http://{SHOP}/")),
        "page" => Verdict::NotJson,
        "endless" => Verdict::Endless,
        _ => Verdict::deny("an unknown topic"),
    }
}

/// What it is told decides.
fn told() -> Vec<Case> {
    let on = |answer: &str| Visit::channel(&format!("hook.{answer}"));
    let case = Case::new;
    vec![
        case(
            "webhook: a token in the header",
            on("token").token(HOOKED),
            AS_HOOKED,
        ),
        case(
            "webhook: a token in the cookie",
            on("token").cookie(HOOKED),
            AS_HOOKED,
        ),
        case(
            "webhook: a token in the query",
            on("token").access_token(HOOKED),
            AS_HOOKED,
        ),
        case("webhook: another token", on("token").token("x"), BAD_TOKEN),
        case(
            "webhook: a part of the token",
            on("token").token(&HOOKED[1..]),
            BAD_TOKEN,
        ),
        case(
            "webhook: two tokens",
            on("token").token(HOOKED).access_token("x"),
            TWO_TOKENS,
        ),
        case("webhook: no token", on("token"), NO_TOKEN),
        case("webhook: anybody", on("anybody"), ANYBODY),
        case(
            "webhook: anybody with a token",
            on("anybody").token("x"),
            ANYBODY,
        ),
        case(
            "webhook: from a foreign origin",
            on("anybody").origin("https://evil.example"),
            ORIGIN,
        ),
    ]
}

/// What else it is told of the request.
fn told_of_requests() -> Vec<Case> {
    let on = |answer: &str| Visit::channel(&format!("hook.{answer}"));
    let from = |hops: &str| on("ip").header("X-Forwarded-For", hops);
    let case = Case::new;
    vec![
        case("webhook: its address", on("ip").from(OFFICE), AS_HOOKED),
        case("webhook: another address", on("ip"), NO_TOKEN),
        case(
            "webhook: its address told by the proxy",
            from(OFFICE).from(PROXY),
            AS_HOOKED,
        ),
        case(
            "webhook: its address told by a stranger",
            from(OFFICE),
            NO_TOKEN,
        ),
        case(
            "webhook: spoofed before the proxy",
            from(&format!("{OFFICE}, 198.51.100.1")).from(PROXY),
            NO_TOKEN,
        ),
        case("webhook: its origin", on("origin").origin(SHOP), AS_HOOKED),
        case("webhook: no origin", on("origin"), NO_TOKEN),
        case(
            "webhook: its path",
            on("path").at("/default/stream"),
            AS_HOOKED,
        ),
        case("webhook: another path", on("path"), NO_TOKEN),
        case("webhook: to publish", on("action").at("/publish"), OK),
        case("webhook: to publish, not to listen", on("action"), NO_TOKEN),
        case(
            "webhook: to publish, not to read history",
            on("action").at("/history"),
            NO_TOKEN,
        ),
        case(
            "webhook: a POST with a cookie and no Origin",
            on("anybody").at("/publish").cookie(HOOKED),
            ORIGIN,
        ),
    ]
}

/// What it answers; nothing but a clear yes is a yes, and nothing but a clear no is for good.
fn answers() -> Vec<Case> {
    let on = |answer: &str| Visit::channel(&format!("hook.{answer}")).token(HOOKED);
    let mut cases = vec![
        Case::new("webhook: no to whom it knows", on("known"), NOT_ADMITTED),
        Case::new(
            "webhook: yes until a time that is over",
            on("over"),
            BAD_TOKEN,
        ),
        Case::new("webhook: yes for a while", on("soon"), AS_HOOKED),
        Case::new("webhook: an unknown topic", on("unheard"), BAD_TOKEN),
    ];
    for answer in [
        "text",
        "number",
        "nothing",
        "list",
        "lines",
        "unnamed",
        "long",
        "date",
        "created",
        "forbidden",
        "broken",
        "redirect",
        "page",
        "endless",
    ] {
        let name = format!("webhook: it answers with {answer}");
        cases.push(Case::new(&*name, on(answer), Expected::Passing));
        let history = on(answer).at("/history");
        cases.push(Case::new(
            format!("{name} about history"),
            history,
            UNAVAILABLE,
        ));
    }
    cases
}

/// A webhook after rules that read tokens themselves.
fn beside(world: &World) -> Vec<Case> {
    let on = |answer: &str| Visit::channel(&format!("beside.{answer}"));
    let good = world.token(&ana());
    let late = world.token(&ana_with(json!({ "exp": 1 })));
    vec![
        Case::new(
            "beside a webhook: a signed token",
            on("token").token(&good),
            AS_ANA,
        ),
        Case::new(
            "beside a broken webhook: a signed token",
            on("broken").token(&good),
            AS_ANA,
        ),
        Case::new(
            "beside a webhook: its own token",
            on("token").token(HOOKED),
            AS_HOOKED,
        ),
        Case::new(
            "beside a webhook: an expired token",
            on("token").token(&late),
            BAD_TOKEN,
        ),
        Case::new(
            "beside a broken webhook: an expired token",
            on("broken").token(&late),
            Expected::Passing,
        ),
        Case::new("beside a webhook: no token", on("token"), NO_TOKEN),
    ]
}

/// Service accounts of a real API server, by RBAC.
fn accounts(world: &World) -> Vec<Case> {
    let on = || Visit::channel("accounts");
    let [reader, stranger, elsewhere] = &world.accounts;
    vec![
        Case::new("account: in the header", on().token(reader), AS_READER),
        Case::new("account: in the cookie", on().cookie(reader), AS_READER),
        Case::new(
            "account: in the query",
            on().access_token(reader),
            AS_READER,
        ),
        Case::new("account: none", on(), NO_TOKEN),
        Case::new(
            "account: without the right",
            on().token(stranger),
            NOT_ADMITTED,
        ),
        Case::new(
            "account: for another audience",
            on().token(elsewhere),
            BAD_TOKEN,
        ),
        Case::new("account: of nobody", on().token("x"), BAD_TOKEN),
        Case::new(
            "account: cut",
            on().token(&reader[..reader.len() - 3]),
            BAD_TOKEN,
        ),
        Case::new(
            "account: its history",
            on().at("/history").token(reader),
            OK,
        ),
        Case::new(
            "account: publishes without the right",
            on().at("/publish").token(reader),
            NOT_ADMITTED,
        ),
        Case::new(
            "account: presence without the right",
            on().at("/presence").token(reader),
            NOT_ADMITTED,
        ),
        Case::new(
            "account: another Channel of that kind",
            Visit::channel("bookings").token(reader),
            NOT_ADMITTED,
        ),
        Case::new(
            "account: where tokens are asked for",
            Visit::channel("tokens").token(reader),
            BAD_TOKEN,
        ),
        Case::new(
            "account: where another issuer is",
            Visit::channel("jwks-any").token(reader),
            Expected::Passing,
        ),
        Case::new("account: a token of the Secret", on().token(BEN), BAD_TOKEN),
        Case::new(
            "account: a token of the issuer",
            on().token(&world.token(&ana())),
            BAD_TOKEN,
        ),
    ]
}

/// Forged ones: without a signature, and with one of somebody else.
fn forged_accounts(world: &World) -> Vec<Case> {
    let [reader, ..] = &world.accounts;
    let [_, claims, _] = parts(reader);
    let none = base64url(json!({ "alg": "none" }).to_string());
    let admin = json!({ "sub": "system:serviceaccount:kube-system:admin", "aud": ["siar"] });
    let on = |token: &str| Visit::channel("accounts").token(token);
    vec![
        Case::new(
            "account: alg none",
            on(&format!("{none}.{claims}.")),
            BAD_TOKEN,
        ),
        Case::new(
            "account: claims of an admin",
            on(&world.token(&ana_with(admin))),
            BAD_TOKEN,
        ),
    ]
}
