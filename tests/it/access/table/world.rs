//! The gateway of the table, its Channels, and those who sign tokens.

use crate::access::{reviewing, until_rbac_counts};
use crate::{Channel, Gateway, GatewaySetup};
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::issuer::{Algorithm, Issuer, Jwks, Key};
use tests::manifest::secret;
use tests::webhook::Webhook;

use super::reviewed::verdict;

/// Who may ask who listens, everywhere.
pub const WATCHER: &str = "token-of-the-watcher";
/// A token of the Secret `readers`.
pub const BEN: &str = "token-of-ben";
pub const ISSUER: &str = "https://id.example/realms/shop";
pub const SHOP: &str = "https://shop.example";
/// A proxy whose `X-Forwarded-For` is believed.
pub const PROXY: &str = "127.0.0.9";
/// Who is let in by address.
pub const OFFICE: &str = "127.0.0.2";

const SHARED: &str = "a-shared-key-that-only-the-two-sides-know";

pub struct World {
    pub gateway: Gateway,
    /// Whose keys the rules trust, as long as it lives.
    _issuer: Issuer,
    /// Whom only tokens name.
    pub rogue: Issuer,
    /// Of the service accounts: one with the right to listen, one without, the first for another audience.
    pub accounts: [String; 3],
    keys: Vec<Key>,
    _webhook: Webhook,
    _cluster: Cluster,
}

impl World {
    pub async fn start() -> Self {
        let (issuer, rogue) = (Issuer::start().await, Issuer::start().await);
        let new = |algorithm| match algorithm {
            Algorithm::Hs256 => Key::of_secret(SHARED),
            _ => Key::new(algorithm),
        };
        let keys: Vec<Key> = Algorithm::ALL.into_iter().map(new).collect();
        let jwks = keys.iter().map(|key| key.jwk(key.algorithm().name()));
        issuer.serve(Jwks::Keys(jwks.collect()));
        let (webhook, cluster) = (Webhook::start().await, reviewing("accounts").await);
        webhook.answer_by(verdict);
        let kubeconfig = cluster.kubeconfig("gateway");
        let mut setup = GatewaySetup::new()
            .flag("--trusted-proxies", &format!("{PROXY}/32"))
            .env("KUBECONFIG", kubeconfig.to_str().expect("a path"));
        for channel in channels(&issuer.url(), &webhook.url()) {
            setup = setup.channel(&channel);
        }
        let gateway = setup.file("secrets", secrets(&keys)).start().await;
        gateway
            .until_metric("siar_jwks_fetches_total", &[("result", "ok")], 1.0)
            .await;
        Self {
            gateway,
            _issuer: issuer,
            rogue,
            accounts: accounts(&cluster).await,
            keys,
            _webhook: webhook,
            _cluster: cluster,
        }
    }

    /// The key that the Channels of that algorithm trust.
    pub fn key(&self, algorithm: Algorithm) -> &Key {
        let mut keys = self.keys.iter();
        keys.find(|key| key.algorithm() == algorithm)
            .expect("there is a key of each algorithm")
    }

    /// Waits until the cluster has seen who may listen.
    pub async fn until_rbac_counts(&self) {
        let listen = self.gateway.listen("accounts.first");
        until_rbac_counts(listen.token(&self.accounts[0])).await;
    }

    /// A token with these claims, signed with the ES256 key, whose `kid` is `ES256`.
    pub fn token(&self, claims: &Value) -> String {
        self.key(Algorithm::Es256).token("ES256", claims)
    }
}

/// The name of the Channel whose one rule takes tokens of `algorithm` with a key from a Secret.
pub fn fixed(algorithm: Algorithm) -> String {
    format!("fixed-{}", algorithm.name().to_lowercase())
}

/// The same with keys from the issuer.
pub fn published(algorithm: Algorithm) -> String {
    format!("jwks-{}", algorithm.name().to_lowercase())
}

fn secrets(keys: &[Key]) -> Vec<Value> {
    let values: Vec<(String, String)> = keys
        .iter()
        .map(|key| {
            let value = match key.algorithm() {
                Algorithm::Hs256 => SHARED.to_owned(),
                _ => key.public_pem(),
            };
            (key.algorithm().name().to_owned(), value)
        })
        .collect();
    let pairs: Vec<(&str, &str)> = values.iter().map(|(a, b)| (&**a, &**b)).collect();
    vec![
        secret("keys", &pairs),
        secret("readers", &[("ben", BEN)]),
        secret("watchers", &[("watcher", WATCHER)]),
    ]
}

/// A rule for tokens of `algorithms` with the key `key` of the Secret.
fn key_rule(key: &str, algorithms: &[&str]) -> Value {
    let reference = json!({ "secretRef": { "name": "keys", "key": key } });
    json!({ "jwt": { "key": reference, "algorithms": algorithms } })
}

fn jwt() -> Value {
    key_rule("ES256", &["ES256"])
}

fn when(mut rule: Value, condition: &str) -> Value {
    rule["when"] = json!(condition);
    rule
}

fn anybody() -> Value {
    json!({ "anonymous": {} })
}

fn readers() -> Value {
    json!({ "tokens": { "secretRef": { "name": "readers" } } })
}

/// A Channel with topics `<name>.{case}`, these rules for listening, and the watcher's right to publish.
fn channel(name: &str, rules: &[Value]) -> Channel {
    let watchers = json!({ "tokens": { "secretRef": { "name": "watchers" } } });
    Channel::closed(name)
        .topics(&[&format!("{name}.{{case}}")])
        .history(10)
        .with(
            "access",
            json!({ "subscribe": rules, "publish": [watchers] }),
        )
}

fn channels(jwks: &str, webhook: &str) -> Vec<Channel> {
    let mut all = signed(jwks);
    all.extend(reviewed(webhook));
    all.extend(claimed(jwks));
    all.extend(conditional());
    all.extend(of_pages());
    all
}

/// Each algorithm alone, and what must not be taken for a key.
fn signed(jwks: &str) -> Vec<Channel> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        all.push(channel(&fixed(algorithm), &[key_rule(name, &[name])]));
        if algorithm != Algorithm::Hs256 {
            let rule = json!({ "jwt": { "jwks": { "url": jwks }, "algorithms": [name] } });
            all.push(channel(&published(algorithm), &[rule]));
        }
    }
    let public = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
    let any = json!({ "jwt": { "jwks": { "url": jwks }, "algorithms": public } });
    all.push(channel("jwks-any", &[any]));
    // A public key where a shared one belongs.
    all.push(channel("confused", &[key_rule("RS256", &["HS256"])]));
    // Not the family of the key.
    all.push(channel("mistaken", &[key_rule("ES256", &["RS256"])]));
    all.push(channel("keyless", &[key_rule("absent", &["ES256"])]));
    all
}

/// Who must be named, and for how long.
fn claimed(jwks: &str) -> Vec<Channel> {
    let mut strict = jwt();
    strict["jwt"]["issuer"] = json!(ISSUER);
    strict["jwt"]["audiences"] = json!(["siar", "shop"]);
    let mut forever = jwt();
    forever["jwt"]["requireExp"] = json!(false);
    let mut keycloak = json!({ "jwt": { "jwks": { "url": jwks }, "algorithms": ["RS256"] } });
    keycloak["jwt"]["issuer"] = json!(ISSUER);
    let reads = "'reader' in claims.realm_access.roles";
    vec![
        channel("strict", &[strict]),
        channel("forever", &[forever]),
        channel("keycloak", &[when(keycloak, reads)]),
    ]
}

fn conditional() -> Vec<Channel> {
    let open = |condition: &str| when(anybody(), condition);
    let own = when(jwt(), "claims.sub == topic.user");
    let watchers = json!({ "tokens": { "secretRef": { "name": "watchers" } } });
    let orders = json!({ "subscribe": [own.clone()], "publish": [own, watchers] });
    let tenants = when(
        jwt(),
        "claims.org == topic.org && topic.team in claims.teams",
    );
    vec![
        channel("orders", &[])
            .with("access", orders.clone())
            .topics(&["orders.{user}"]),
        channel("feeds", &[])
            .with("access", orders)
            .topics(&["feeds.{user}"])
            .with("wildcard", json!(true)),
        channel("tenants", &[tenants]).topics(&["tenants.{org}.{team}"]),
        channel("absent", &[when(jwt(), "claims.absent == 'x'")]),
        channel("asks", &[when(jwt(), "!has(claims.banned)")]),
        channel("kinds", &[when(jwt(), "claims.level >= 3")]),
        channel("named", &[when(jwt(), "identity == 'ana'")]),
        channel("noboolean", &[when(jwt(), "claims.sub")]),
        channel("fallback", &[when(jwt(), "claims.absent == 1"), readers()]),
        channel("ip", &[open(&format!("request.ip == '{OFFICE}'"))]),
        channel("path", &[open("request.path == '/default/stream'")]),
        channel("origin", &[open(&format!("request.origin == '{SHOP}'"))])
            .origins(&[SHOP, "https://other.example"]),
        channel("header", &[open("request.headers['x-team'] == 'blue'")]),
        channel(
            "secretive",
            &[
                open(
                    "size(request.headers) > 0 && !('authorization' in request.headers) && !('cookie' in request.headers)",
                ),
                jwt(),
            ],
        ),
    ]
}

fn of_pages() -> Vec<Channel> {
    let publishing = |name: &str, rules: Value| {
        let mut publish = rules.clone();
        let watchers = json!({ "tokens": { "secretRef": { "name": "watchers" } } });
        publish.as_array_mut().expect("a list").push(watchers);
        let access = json!({ "subscribe": rules, "publish": publish });
        channel(name, &[]).with("access", access)
    };
    vec![
        channel("tokens", &[readers()]),
        channel("nobody", &[]),
        channel("open", &[anybody()]),
        channel("both", &[anybody(), jwt()]),
        channel("either", &[readers(), jwt()]),
        publishing("shop", json!([readers(), jwt()])).origins(&[SHOP]),
        publishing("star", json!([readers(), jwt()])).origins(&["*"]),
        publishing("own", json!([readers(), jwt()])),
        channel("mute", &[]).with("access", json!({ "subscribe": [anybody()] })),
        Channel::open("public").topics(&["public.{case}"]),
    ]
}

/// Those that ask others.
fn reviewed(webhook: &str) -> Vec<Channel> {
    let watchers = json!({ "tokens": { "secretRef": { "name": "watchers" } } });
    let rule = json!({ "webhook": { "url": webhook, "timeout": "3s" } });
    let accounts = json!({ "serviceAccounts": {} });
    let asking = |name: &str, rules: &[Value]| {
        let publish = [std::slice::from_ref(&watchers), rules].concat();
        channel(name, &[]).with("access", json!({ "subscribe": rules, "publish": publish }))
    };
    vec![
        asking("hook", std::slice::from_ref(&rule))
            .topics(&["hook.{answer}.{case}"])
            .origins(&[SHOP]),
        asking("beside", &[jwt(), rule]).topics(&["beside.{answer}.{case}"]),
        asking("accounts", std::slice::from_ref(&accounts)),
        asking("bookings", &[accounts]),
    ]
}

async fn accounts(cluster: &Cluster) -> [String; 3] {
    [
        cluster
            .service_account_token("shop", "reader", &["siar"])
            .await,
        cluster
            .service_account_token("shop", "stranger", &["siar"])
            .await,
        cluster
            .service_account_token("shop", "reader", &["shop"])
            .await,
    ]
}
