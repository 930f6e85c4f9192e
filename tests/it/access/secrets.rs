//! One run with the most talkative log, over all rules and ways in, with good and bad tokens: then no token, no part
//! of one and no key stands in anything that the gateway wrote.

use super::{reviewing, until_rbac_counts, with};
use crate::{Channel, Gateway, GatewaySetup};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::cluster::Cluster;
use tests::http::{Ask, query};
use tests::issuer::{Algorithm, Issuer, Jwks, Key, base64url};
use tests::listen::Listen;
use tests::manifest::secret;
use tests::sse::Item;
use tests::wait::{unix_ms, until, within};
use tests::webhook::{Verdict, Webhook};

/// Parts of tokens shorter than that are words that stand anywhere.
const LEAST: usize = 16;
const SHARED: &str = "Kj3mZ0-a-shared-key-that-nobody-may-read-9Qx";
const READER: &str = "reader-uJ8wT3-a-token-of-the-secret";
const HOOKED: &str = "hook-1yB6zL-a-token-of-the-webhook";
/// What a claim says that a condition cannot use.
const OF_CLAIM: &str = "words-of-a-claim-7dX4qE";
/// Where people put keys.
const OF_URL: &str = "key-in-a-url-5pW2nV";

/// Everything that must not be seen, each with what it is.
#[derive(Default)]
struct Hidden(Vec<(String, String)>);

impl Hidden {
    /// The token and each part of it.
    fn token(&mut self, what: &str, token: &str) {
        self.0.push((what.into(), token.into()));
        let parts = token.split('.').filter(|part| part.len() >= LEAST);
        let parts = parts.map(|part| (format!("a part of {what}"), part.to_owned()));
        self.0.extend(parts);
    }

    /// The bytes in each way that they may be written.
    fn bytes(&mut self, what: &str, bytes: &str) {
        let hex: String = bytes.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in [
            bytes.to_owned(),
            base64url(bytes),
            hex,
            format!("{:?}", bytes.as_bytes()),
        ] {
            self.0.push((what.into(), text));
        }
    }

    /// What of it stands in `text`.
    fn seen_in(&self, place: &str, text: &str) -> Vec<String> {
        let seen = self.0.iter().filter(|(_, hidden)| text.contains(&**hidden));
        seen.map(|(what, hidden)| {
            let at = text.find(&**hidden).unwrap_or_default();
            let begin = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let line: String = text[begin..].lines().next().unwrap_or_default().into();
            let line: String = line
                .replace(&**hidden, "<HERE>")
                .chars()
                .take(300)
                .collect();
            format!("{what} stands in {place}: {line}")
        })
        .collect()
    }
}

/// The gateway with a Channel for each kind of rule, and those whom it asks.
struct World {
    gateway: Gateway,
    webhook: Webhook,
    _issuer: Issuer,
    _cluster: Cluster,
    /// The Channel, the name of the token, the token.
    tokens: Vec<(&'static str, String, String)>,
    hidden: Hidden,
}

fn channel(name: &str, rules: &Value) -> Channel {
    let access = json!({ "subscribe": rules, "publish": rules });
    Channel::closed(name).history(10).with("access", access)
}

fn rules(issuer: &Issuer, webhook: &Webhook) -> Vec<Channel> {
    let reference = |key: &str| json!({ "secretRef": { "name": "keys", "key": key } });
    let jwks = json!({ "url": format!("{}?key={OF_URL}", issuer.url()) });
    let url = format!("{}?key={OF_URL}", webhook.url());
    let tokens = json!({ "tokens": { "secretRef": { "name": "readers" } } });
    let shared = json!({ "jwt": { "key": reference("hs256"), "algorithms": ["HS256"] }, "when": "claims.sub != 'nobody' && claims.level > 2" });
    let fixed = json!({ "jwt": { "key": reference("es256"), "algorithms": ["ES256"] } });
    let headers = "size(request.headers) > 0 && request.path != ''";
    vec![
        channel("shared", &json!([shared])),
        channel(
            "fixed",
            &json!([fixed, { "anonymous": {}, "when": headers }]),
        ),
        channel(
            "jwks",
            &json!([{ "jwt": { "jwks": jwks, "algorithms": ["ES256"] } }]),
        ),
        channel("tokens", &json!([tokens])),
        channel(
            "webhook",
            &json!([{ "webhook": { "url": url, "recheck": "10s" } }]),
        ),
        channel(
            "accounts",
            &json!([{ "serviceAccounts": { "recheck": "10s" } }]),
        ),
        Channel::open("open"),
    ]
}

impl World {
    async fn start() -> Self {
        let (issuer, webhook) = (Issuer::start().await, Webhook::start().await);
        let cluster = reviewing("accounts").await;
        let key = Key::new(Algorithm::Es256);
        issuer.serve(Jwks::Keys(vec![key.jwk("k")]));
        webhook.answer(Verdict::allow_as("hook"));
        let kubeconfig = cluster.kubeconfig("gateway");
        let kubeconfig = kubeconfig.to_str().expect("a path");
        let keys = secret("keys", &[("hs256", SHARED), ("es256", &key.public_pem())]);
        let readers = secret("readers", &[("reader", READER)]);
        let mut setup = GatewaySetup::new()
            .flag("--log", "trace")
            .env("KUBECONFIG", kubeconfig)
            .file("secrets", vec![keys, readers]);
        for channel in rules(&issuer, &webhook) {
            setup = setup.channel(&channel);
        }
        let gateway = setup.start().await;
        let account = cluster
            .service_account_token("shop", "reader", &["siar"])
            .await;
        until_rbac_counts(gateway.listen("accounts").token(&account)).await;
        let mut world = Self {
            gateway,
            webhook,
            _issuer: issuer,
            _cluster: cluster,
            tokens: tokens(&key, account),
            hidden: Hidden::default(),
        };
        world.hide();
        world
    }

    fn hide(&mut self) {
        for (_, what, token) in &self.tokens {
            self.hidden.token(what, token);
        }
        self.hidden.token("a claim", OF_CLAIM);
        self.hidden
            .token("the gateway's own token", "token-of-gateway");
        self.hidden.bytes("the shared key", SHARED);
        self.hidden.bytes("the token of the Secret", READER);
        self.hidden.bytes("the key in a URL", OF_URL);
    }
}

/// Good and bad tokens, each with the Channel that reads it.
fn tokens(key: &Key, account: String) -> Vec<(&'static str, String, String)> {
    let shared = |level: Value| Key::of_secret(SHARED).token("k", &claims(level));
    let forged = format!("{}xx", &account[..account.len() - 2]);
    let mut all: Vec<(&'static str, String, String)> = [
        ("shared", "a shared token", shared(json!(3))),
        (
            "shared",
            "a shared token without the right",
            shared(json!(1)),
        ),
        (
            "shared",
            "a shared token of a wrong kind",
            shared(json!(OF_CLAIM)),
        ),
        ("tokens", "the reader's", READER.into()),
        (
            "tokens",
            "nobody's",
            "nobody-4hR7cM-a-token-of-nobody".into(),
        ),
        ("webhook", "the webhook's", HOOKED.into()),
        ("accounts", "a service account's", account),
        ("accounts", "a forged service account's", forged),
        (
            "open",
            "nonsense",
            "open-0tG5vD-nonsense-where-none-is-read".into(),
        ),
    ]
    .map(|(channel, what, token)| (channel, what.to_owned(), token))
    .into();
    for channel in ["fixed", "jwks"] {
        let signed = signed_tokens(key, channel);
        all.extend(signed.map(|(what, token)| (channel, format!("{what} on {channel}"), token)));
    }
    all
}

fn claims(level: Value) -> Value {
    let exp = unix_ms() / 1000 + 600;
    json!({ "sub": "ana-of-the-hidden-claims", "level": level, "exp": exp })
}

/// For a Channel that trusts the key.
fn signed_tokens(key: &Key, channel: &str) -> [(&'static str, String); 6] {
    let other = Key::new(Algorithm::Es256);
    let good = key.token("k", &claims(json!(3)));
    let late = with(claims(json!(3)), json!({ "exp": unix_ms() / 1000 - 600 }));
    [
        ("an expired token", key.token("k", &late)),
        ("a forged token", other.token("k", &claims(json!(3)))),
        (
            "a token of an unknown key",
            other.token("other-kid", &claims(json!(3))),
        ),
        ("a cut token", good[..good.len() - 9].to_owned()),
        ("a good token", good),
        ("no JWT", format!("{channel}-no-JWT-8sK1fN-at-all")),
    ]
}

/// All that was answered to a visitor: head and body.
fn written(headers: &[(String, String)], body: &str) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"));
    lines.chain([body.to_owned()]).collect()
}

async fn listen(listen: Listen) -> String {
    match within("an answer", listen.try_open())
        .await
        .expect("an answer")
    {
        Err(answer) => written(&answer.headers, &answer.text()),
        Ok(mut listener) => {
            // Up to where a stream is silent, or the end of one that must come back.
            within("the begin of a stream", async {
                while !matches!(listener.read().await, None | Some(Item::Cursor(_))) {}
            })
            .await;
            written(&listener.headers, &listener.transcript())
        }
    }
}

async fn ask(ask: Ask) -> String {
    let answer = ask.send().await;
    written(&answer.headers, &answer.text())
}

impl World {
    /// Comes with the token in each way, to each path.
    async fn visit(&self, channel: &str, token: &str) -> Vec<String> {
        let gateway = &self.gateway;
        let cookie = format!("a=1; siar_token={token}; b=2");
        let own = format!("http://{}", gateway.public());
        let stream = || gateway.listen(channel);
        let mut all = vec![
            listen(stream().token(token)).await,
            listen(stream().header("Cookie", &cookie)).await,
            listen(stream().query("access_token", token)).await,
            listen(stream().token(token).by(|route| route.http2 = true)).await,
            listen(stream().token(token).query("access_token", "another")).await,
            listen(stream().header("Authorization", &format!("Basic {token}"))).await,
            listen(stream().token(token).origin("https://evil.example")).await,
            listen(stream().token(token).header("Accept", "text/html")).await,
            listen(stream().token(token).since("nonsense")).await,
        ];
        let bare = query(&[("channel", channel)]);
        let with = query(&[("channel", channel), ("access_token", token)]);
        for path in [
            "/history",
            "/presence",
            "/publish",
            "/default/history",
            "/nowhere/history",
            "/nothing",
        ] {
            let method = if path == "/publish" { "POST" } else { "GET" };
            let plain = |query: &str| Ask::new(gateway.public(), method, &format!("{path}{query}"));
            all.push(ask(plain(&bare).token(token)).await);
            all.push(
                ask(plain(&bare)
                    .header("Cookie", &cookie)
                    .header("Origin", &own))
                .await,
            );
            all.push(ask(plain(&with)).await);
            let options = Ask::new(gateway.public(), "OPTIONS", &format!("{path}{with}"));
            all.push(ask(options.token(token).header("Origin", &own)).await);
            let wrong = Ask::new(gateway.public(), "DELETE", &format!("{path}{with}"));
            all.push(ask(wrong.token(token)).await);
        }
        let body = json!([{ "channel": channel, "data": "x" }]).to_string();
        let list = Ask::post(gateway.public(), "/publish", body).token(token);
        all.push(ask(list.header("Content-Type", "application/json")).await);
        all
    }
}

/// All that it logged.
fn log(gateway: &mut Gateway) -> String {
    let log = gateway.process().log();
    assert!(log.contains("TRACE") && log.contains("bad-token"), "{log}");
    println!("{} bytes of log", log.len());
    log
}

#[tokio::test]
async fn nothing_that_is_written_holds_a_token_or_a_key() {
    let mut world = World::start().await;
    let open = world.gateway.listen("webhook").token(HOOKED).await;
    let mut seen = Vec::new();
    let mut opened = BTreeSet::new();
    let mut answers = 0;
    for (channel, what, token) in &world.tokens {
        for text in world.visit(channel, token).await {
            answers += 1;
            if text.contains("content-type: text/event-stream") && !text.contains("siar.end") {
                opened.insert(*channel);
            }
            seen.extend(world.hidden.seen_in(&format!("an answer to {what}"), &text));
        }
    }
    println!("{answers} answers to {} tokens", world.tokens.len());
    let channels: BTreeSet<&str> = world.tokens.iter().map(|(channel, ..)| *channel).collect();
    assert_eq!(opened, channels, "the good tokens were good");
    let before = world.webhook.asked().len();
    until("the webhook to be asked again", || async {
        let asked = world.webhook.asked().len();
        (asked > before)
            .then_some(())
            .ok_or(format!("{asked} times"))
    })
    .await;
    drop(open);
    for (_, _, token) in &world.tokens {
        world.webhook.answer(Verdict::deny(&format!("no: {token}")));
        seen.extend(world.hidden.seen_in(
            "a denial",
            &listen(world.gateway.listen("webhook").token(token)).await,
        ));
    }
    let metrics = Ask::get(world.gateway.admin(), "/metrics")
        .send()
        .await
        .text();
    seen.extend(world.hidden.seen_in("the metrics", &metrics));
    let status = world.gateway.status().await.to_string();
    seen.extend(world.hidden.seen_in("the status", &status));
    world.gateway.term();
    let _ended = world.gateway.exit().await;
    let log = log(&mut world.gateway);
    seen.extend(world.hidden.seen_in("the log", &log));
    assert!(seen.is_empty(), "\n{}", seen.join("\n"));
}
