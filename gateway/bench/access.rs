//! What deciding costs, in process: prints the figures in microseconds as JSON. Run by the bench of `tests`,
//! which does not link the gateway.
//!
//! Owns: the work that is timed. Never: judges the figures.

use crds::compile::compile;
use crds::fleet::Fleet;
use crds::keys::KeySet;
use crds::name::Topic;
use crds::secrets::Secrets;
use gateway::access::keyring::Keyring;
use gateway::access::{
    Action, Ask, Decision, Findings, Known, Memo, Request, Subject, Token, TokenHash, decide,
};
use gateway::clock::{self, Now};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

/// Calls that are timed together, so that reading the clock weighs nothing.
const CALLS: usize = 10;
/// The median of so many is the figure.
const SAMPLES: usize = 200;
/// No more samples are begun after this time.
const LONGEST: Duration = Duration::from_secs(1);
/// Different tokens, shown in turn: twice as many as the gateway remembers, so each of them is new to it.
const TOKENS: usize = 2048;
/// Bytes of the claims of a token.
const CLAIMS: usize = 1024;

const URL: &str = "https://id.example.com/keys";
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUfb0Qp75J0XUnfZ+
O6xd0S43gFbQYJFsie8tf2HtVoahRANCAASEDWcEd4CHjB9hIzvIFRr4NjEbM99v
vUOsFwUuT0CnI2bgi9W8sWXS5Rgk/W8LRCglSZdmfKwFeXa5hM5y7St5
-----END PRIVATE KEY-----";
const JWKS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "one",
    "x": "hA1nBHeAh4wfYSM7yBUa-DYxGzPfb71DrBcFLk9ApyM", "y": "ZuCL1byxZdLlGCT9bwtEKCVJl2Z8rAV5drmEznLtK3k"}]}"#;

/// A list is compared with another, again and again for each item of a third: `claims.a == claims.b`.
const COMPARED: &str = "claims.a==claims.b";

/// What all decisions here share.
struct World {
    keyring: Keyring,
    now: Now,
}

fn main() -> Result<(), Box<dyn Error>> {
    let world = World {
        keyring: Keyring::default(),
        now: clock::now(),
    };
    world
        .keyring
        .put(&URL.into(), KeySet::from_jwks(JWKS.as_bytes())?);
    let tokens: Vec<String> = (0..TOKENS)
        .map(|number| signed(number, world.now))
        .collect::<Result<_, _>>()?;
    let requests: Vec<Request> = tokens.iter().map(|token| shown(Some(token))).collect();
    let (new, same, nobody) = (&requests[..], &requests[..1], [shown(None)]);
    let jwt = json!({"jwt": {"issuer": "https://id.example.com", "audiences": ["siar"], "algorithms": ["ES256"],
        "jwks": {"url": URL}}});
    let mut own = jwt.clone();
    own["when"] = "claims.sub == topic.user".into();
    let mut worst = jwt.clone();
    worst["when"] = worst_condition().into();
    let (jwt, own, worst) = (asked(&jwt)?, asked(&own)?, asked(&worst)?);
    let cached = world.cost(&jwt, same);
    let figures = json!({
        "anonymous": world.cost(&asked(&json!({"anonymous": {}}))?, &nobody),
        "new": world.cost(&jwt, new),
        "cached": cached,
        "condition": world.cost(&own, same) - cached,
        "worst": world.cost(&worst, &[shown(Some(&large(world.now)?))]),
        "hash": median(&tokens[..1], |token| {
            black_box(TokenHash::of(token));
        }),
    });
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}

impl World {
    /// Of one decision about `ask`, with the `requests` in turn. The first of them has been seen before.
    fn cost(&self, ask: &Ask, requests: &[Request]) -> f64 {
        let memo = Memo::default();
        let known = Known {
            keyring: &self.keyring,
            memo: &memo,
            now: self.now,
            failed: &|_, problem| unreachable!("{problem}"),
        };
        let (asks, findings) = (std::slice::from_ref(ask), Findings::default());
        let decide = |request: &Request| {
            let decision = decide(Action::Subscribe, asks, request, &known, &findings);
            assert!(matches!(decision, Decision::Granted(_)), "{decision:?}");
            drop(black_box(decision));
        };
        decide(&requests[0]);
        median(requests, decide)
    }
}

/// The median cost of `call` in microseconds, each time with the next of `items`.
fn median<T>(items: &[T], call: impl Fn(&T)) -> f64 {
    let mut items = items.iter().cycle().skip(1);
    let (begin, mut samples) = (clock::now().steady, Vec::new());
    while samples.is_empty() || samples.len() < SAMPLES && begin.elapsed() < LONGEST {
        let begin = clock::now().steady;
        items.by_ref().take(CALLS).for_each(&call);
        samples.push(begin.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn shown(token: Option<&String>) -> Request {
    Request {
        token: token.map(|token| Token::new(token)),
        facts: None,
    }
}

/// As much work as a condition may make of claims: loops that are as large as may be, as many as its text has room for.
fn worst_condition() -> String {
    let body = [COMPARED; 4].join("&&");
    let one = format!("claims.l.all(x,{body})");
    vec![one; 7].join("&&")
}

/// A token whose claims take all that a condition goes through.
fn large(now: Now) -> Result<String, jsonwebtoken::errors::Error> {
    let list = vec![1; 168];
    let claims = json!({"iss": "https://id.example.com", "aud": "siar", "sub": "user", "exp": now.unix / 1000 + 3600,
        "l": list, "a": list, "b": list});
    let header = Header {
        kid: Some("one".to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    encode(&header, &claims, &EncodingKey::from_ec_pem(KEY.as_bytes())?)
}

/// A token of `user` with claims as issuers write them.
fn signed(number: usize, now: Now) -> Result<String, jsonwebtoken::errors::Error> {
    let mut claims = json!({
        "iss": "https://id.example.com",
        "aud": ["siar", "account"],
        "sub": "user",
        "jti": number,
        "exp": now.unix / 1000 + 3600,
        "realm_access": {"roles": ["listener", "editor", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "address": {"locality": "Berlin", "country": "DE"},
    });
    let rest = CLAIMS.saturating_sub(claims.to_string().len());
    claims["note"] = "x"
        .repeat(rest.saturating_sub(r#","note":"""#.len()))
        .into();
    let header = Header {
        kid: Some("one".to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    encode(&header, &claims, &EncodingKey::from_ec_pem(KEY.as_bytes())?)
}

/// The topic `orders.user` of a Channel with this rule.
fn asked(rule: &Value) -> Result<Ask, Box<dyn Error>> {
    let channel = serde_json::from_value(json!({
        "apiVersion": "siar.dev/v1alpha1",
        "kind": "Channel",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"topics": ["orders.{user}"], "access": {"subscribe": [rule]}},
    }))?;
    let fleet = Fleet::standalone("shop");
    let compiled = compile(&fleet, [&channel], &Secrets::default(), None);
    let policy = compiled.snapshot.policies().first().cloned();
    Ok(Ask {
        policy: policy.ok_or_else(|| format!("{:?}", compiled.verdicts))?,
        subject: Subject::Topic(Topic::new("orders.user")?),
    })
}
