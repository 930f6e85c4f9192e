//! The fields of a Channel about who may come in.
//!
//! Owns: `spec.access` with every kind of rule. Never: verifies anything. Used by: `channel`.
//! A rule is a struct of options with exactly one set, since the API server knows no tagged unions.

use super::redis::SecretReference;
use super::rules;
use crate::duration::DurationText;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most rules for listening, and again for publishing.
pub const RULES: usize = 16;
/// The most origins of a Channel.
pub const ORIGINS: usize = 32;

/// Who may come in.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AccessSpec {
    /// The origins whose pages may read the Channel, such as `https://shop.example.com`. With `*`
    /// any page may, without cookies. The gateway's own origin needs no entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-list-type" = "set"),
        transform = rules::each_origin
    )]
    pub origins: Vec<String>,

    /// Who may listen. The first rule that admits decides; without rules nobody may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub subscribe: Vec<AccessRule>,

    /// Who may publish. The first rule that admits decides; without rules nobody may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub publish: Vec<AccessRule>,
}

/// One way to be admitted. Exactly one kind is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.anonymous), has(self.tokens), has(self.jwt), has(self.serviceAccounts), has(self.webhook)].filter(x, x).size() == 1").message("set exactly one of anonymous, tokens, jwt, serviceAccounts, webhook"))]
#[serde(rename_all = "camelCase")]
pub struct AccessRule {
    /// Admits everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AnonymousRule")]
    pub anonymous: Option<AnonymousRule>,

    /// Admits whoever presents a bearer token that a Secret holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TokensRule")]
    pub tokens: Option<TokensRule>,

    /// Admits whoever presents a JSON Web Token that a key verifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "JwtRule")]
    pub jwt: Option<JwtRule>,

    /// Admits service accounts of the cluster that RBAC allows the verb `subscribe` or `publish`
    /// on this Channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServiceAccountsRule")]
    pub service_accounts: Option<ServiceAccountsRule>,

    /// Admits whom an HTTP service of yours allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WebhookRule")]
    pub webhook: Option<WebhookRule>,

    /// A condition in CEL that must hold, too, such as `claims.sub == topic.user`. It sees topic (the
    /// captures of the topic's pattern), claims, request (ip, origin, path, headers) and identity. What
    /// cannot be evaluated, such as a claim that is not there, denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    pub when: Option<String>,
}

/// Everybody. It has no fields: write `anonymous: {}`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct AnonymousRule {}

/// Bearer tokens from a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TokensRule {
    /// A Secret in the Channel's namespace: each key names a client, its value is the client's
    /// token. At most 500 keys.
    pub secret_ref: SecretReference,
}

/// JSON Web Tokens.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("has(self.jwks) != has(self.key)").message("set exactly one of jwks, key"))]
#[x_kube(
    validation = rules::algorithms_of_one_side(),
    validation = rules::no_published_shared_key()
)]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    /// The issuer that a token must name. When left out, any issuer will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub issuer: Option<String>,

    /// A token must be meant for one of these. When left out, audiences are not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub audiences: Vec<String>,

    /// Where the keys of the issuer are published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "JwksSource")]
    pub jwks: Option<JwksSource>,

    /// A key from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "JwtKeySource")]
    pub key: Option<JwtKeySource>,

    /// The algorithms that a token may be signed with; none is assumed. HS algorithms do not go with
    /// others, nor with jwks.
    #[schemars(length(min = 1, max = 10), extend("x-kubernetes-list-type" = "set"))]
    pub algorithms: Vec<JwtAlgorithm>,

    /// Whether a token must say when it expires.
    #[serde(default = "yes")]
    pub require_exp: bool,
}

fn yes() -> bool {
    true
}

/// Keys that an issuer publishes as a JSON Web Key Set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct JwksSource {
    /// The address of the key set.
    #[schemars(length(min = 1, max = 1024), regex(pattern = rules::WEB_URL))]
    #[x_kube(validation = rules::web_url(), validation = rules::web_url_without_password())]
    pub url: String,
}

/// A key from a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct JwtKeySource {
    /// Where the key stands: a public key as PEM, or at least 32 bytes of a key for HS256, HS384, HS512.
    pub secret_ref: SecretKeyReference,
}

/// One key of a Secret in the Channel's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SecretKeyReference {
    /// The name of the Secret.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = rules::SECRET_NAME)
    )]
    #[x_kube(validation = rules::secret_name())]
    pub name: String,

    /// The key in the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = rules::SECRET_KEY))]
    #[x_kube(validation = rules::secret_key())]
    pub key: String,
}

/// An algorithm that signs tokens: HS256, HS384, HS512, RS256, RS384, RS512, PS256, ES256, ES384 or EdDSA.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Service accounts of the cluster.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountsRule {
    /// A token must be meant for one of these.
    #[serde(default = "default_audiences")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub audiences: Vec<String>,

    /// How often the cluster is asked again for a stream that stays open, 10s to 1h.
    #[serde(default = "default_recheck")]
    #[x_kube(validation = rules::time("10s", "1h"))]
    pub recheck: DurationText,
}

fn default_audiences() -> Vec<String> {
    vec!["siar".to_owned()]
}

fn default_recheck() -> DurationText {
    DurationText::new("5m")
}

/// A service of yours that decides.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRule {
    /// Where the gateway asks, by POST of a JSON object with action, channel, topics, token, ip, origin
    /// and path. The answer is 200 with a JSON object: allow, and if you like identity and expires (seconds
    /// since 1970). A no with an identity is 403 and without one 401. Anything else counts as
    /// unavailable.
    #[schemars(length(min = 1, max = 1024), regex(pattern = rules::WEB_URL))]
    #[x_kube(validation = rules::web_url(), validation = rules::web_url_without_password())]
    pub url: String,

    /// How long the answer may take, 100ms to 10s.
    #[serde(default = "default_timeout")]
    #[x_kube(validation = rules::time("100ms", "10s"))]
    pub timeout: DurationText,

    /// How often the service is asked again for a stream that stays open, 10s to 1h.
    #[serde(default = "default_recheck")]
    #[x_kube(validation = rules::time("10s", "1h"))]
    pub recheck: DurationText,
}

fn default_timeout() -> DurationText {
    DurationText::new("1s")
}
