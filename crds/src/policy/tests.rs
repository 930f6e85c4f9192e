//! What Secrets do to a Policy.

use super::*;
use crate::secrets::SecretData;
use sha2::{Digest, Sha256};

/// The keys of a Secret with their values.
type Keys<'a> = &'a [(&'a str, &'a [u8])];

fn secrets(entries: &[(&str, Keys<'_>)]) -> Secrets {
    let mut secrets = Secrets::default();
    for (name, data) in entries {
        let data = data.iter();
        let data: SecretData = data
            .map(|(key, value)| ((*key).to_owned(), Secret::new(value.to_vec())))
            .collect();
        secrets.insert("shop", name, data);
    }
    secrets
}

fn fleet() -> Fleet {
    Fleet::standalone("shop")
}

fn resolve(spec: &str, secrets: &Secrets, before: Option<&Form>) -> Result<Resolution, Rejection> {
    resolve_for(&fleet(), spec, secrets, before)
}

fn resolve_for(
    fleet: &Fleet,
    spec: &str,
    secrets: &Secrets,
    before: Option<&Form>,
) -> Result<Resolution, Rejection> {
    let spec: ChannelSpec = serde_json::from_str(spec).unwrap();
    let source = Source {
        channel: &ChannelName::new("shop", "orders"),
        uid: "",
        generation: 1,
        spec: &spec,
    };
    Policy::compile(source, fleet, secrets, before)
}

const READERS: &str = r#"{"access": {"subscribe":
    [{"tokens": {"secretRef": {"name": "readers"}}}, {"anonymous": {}}]}}"#;
const REDIS: &str = r#"{"redis": {"url": "redis://a", "secretRef": {"name": "redis"}}}"#;

/// The problems are one sentence that contains `said`; none when that is empty.
#[track_caller]
fn check(resolution: &Resolution, said: &str) {
    match &*resolution.problems {
        [] => assert_eq!(said, ""),
        [problem] => assert!(
            !said.is_empty() && problem.message.contains(said),
            "{problem:?}"
        ),
        problems => panic!("{problems:?}"),
    }
}

fn holders(resolution: &Resolution) -> Vec<(&str, [u8; 32])> {
    match &resolution.policy.access.subscribe[0].kind {
        RuleKind::Tokens(holders) => holders
            .iter()
            .map(|holder| (&*holder.name, holder.sha256))
            .collect(),
        other => panic!("tokens come first, not {other:?}"),
    }
}

#[test]
fn a_token_is_its_hash_without_one_newline_at_its_end() {
    let secrets = secrets(&[(
        "readers",
        &[("ana", b"a\n"), ("ben", b"b\n\n"), ("cy", b"c")],
    )]);
    let resolution = resolve(READERS, &secrets, None).unwrap();
    check(&resolution, "");
    let hash = |token: &[u8]| <[u8; 32]>::from(Sha256::digest(token));
    let expected = [
        ("ana", hash(b"a")),
        ("ben", hash(b"b\n")),
        ("cy", hash(b"c")),
    ];
    assert_eq!(holders(&resolution), expected);
}

#[test]
fn a_missing_secret_admits_nobody_and_its_siblings_go_on() {
    let resolution = resolve(READERS, &Secrets::default(), None).unwrap();
    check(
        &resolution,
        "Secret \"readers\" does not exist in namespace \"shop\"; create it",
    );
    assert!(holders(&resolution).is_empty());
    assert_eq!(
        resolution.policy.access.subscribe[1].kind,
        RuleKind::Anonymous
    );
}

#[test]
fn an_empty_token_admits_nobody() {
    let secrets = secrets(&[("readers", &[("ana", b"\n"), ("ben", b"b")])]);
    let resolution = resolve(READERS, &secrets, None).unwrap();
    check(&resolution, "key \"ana\" of Secret \"readers\" is empty");
    assert_eq!(holders(&resolution).len(), 1);
}

#[test]
fn too_many_tokens_are_too_large() {
    let keys: Vec<String> = (0..=TOKEN_KEYS).map(|key| key.to_string()).collect();
    let data: Vec<(&str, &[u8])> = keys.iter().map(|key| (&**key, &b"x"[..])).collect();
    let rejection = resolve(READERS, &secrets(&[("readers", &data)]), None).unwrap_err();
    assert_eq!(rejection.reason, Reason::TooLarge);
    assert!(rejection.message.contains("501 keys"), "{rejection}");
}

#[test]
fn a_form_over_its_bound_is_too_large() {
    let ca = [b"-----BEGIN ".as_slice(), &[b'x'; form::FORM_BYTES]].concat();
    let rejection = resolve(REDIS, &secrets(&[("redis", &[("ca.crt", &ca)])]), None).unwrap_err();
    assert_eq!(rejection.reason, Reason::TooLarge);
}

#[test]
fn a_missing_redis_secret_keeps_the_credentials_of_the_same_server() {
    let full = secrets(&[("redis", &[("username", b"u"), ("password", b"hunter2\n")])]);
    let first = resolve(REDIS, &full, None).unwrap();
    check(&first, "");
    let password = |resolution: &Resolution| {
        let redis = resolution.policy.redis.as_ref().unwrap();
        redis.password.as_ref().map(|text| text.expose().clone())
    };
    assert_eq!(password(&first).as_deref(), Some("hunter2"));
    let gone = resolve(REDIS, &Secrets::default(), Some(&first.form)).unwrap();
    check(&gone, "does not exist");
    assert_eq!(password(&gone).as_deref(), Some("hunter2"));
    assert_eq!(gone.policy.digest, first.policy.digest);
    let moved = REDIS.replace("redis://a", "redis://b");
    let moved = resolve(&moved, &Secrets::default(), Some(&first.form)).unwrap();
    assert_eq!(password(&moved), None);
}

#[test]
fn what_is_wrong_in_a_redis_secret_is_named_without_its_value() {
    let check = |data: &[(&str, &[u8])], said: &str| {
        let resolution = resolve(REDIS, &secrets(&[("redis", data)]), None).unwrap();
        check(&resolution, said);
        assert!(!resolution.problems[0].message.contains("hunter2"));
    };
    let pem = b"-----BEGIN CERTIFICATE-----\n";
    check(&[("pasword", b"hunter2")], "none of the keys username");
    check(&[("password", b"hunter2\xff")], "not UTF-8");
    check(&[("password", b"")], "is empty");
    check(&[("ca.crt", b"hunter2")], "is not PEM");
    check(
        &[("tls.crt", pem)],
        "only one of the keys tls.crt and tls.key",
    );
}

#[test]
fn the_digest_follows_spec_and_secrets_and_nothing_else() {
    let digest = |spec: &str, token: &[u8]| {
        let secrets = secrets(&[("readers", &[("ana", token)])]);
        resolve(spec, &secrets, None).unwrap().policy.digest
    };
    assert_eq!(digest(READERS, b"a"), digest(READERS, b"a\n"));
    assert_ne!(digest(READERS, b"a"), digest(READERS, b"b"));
    assert_ne!(digest(READERS, b"a"), digest("{}", b"a"));
    assert_eq!(digest("{}", b"a"), digest(r#"{"wildcard": false}"#, b"b"));
}

const SIGNED: &str = r#"{"access": {"subscribe": [
    {"jwt": {"algorithms": ["HS256"], "key": {"secretRef": {"name": "jwt", "key": "key"}}}}]}}"#;

#[test]
fn a_key_that_is_missing_or_wrong_admits_nobody_and_says_what_to_do() {
    let check = |data: &[(&str, &[u8])], said: &str| {
        let resolution = resolve(SIGNED, &secrets(&[("jwt", data)]), None).unwrap();
        check(&resolution, said);
        let RuleKind::Jwt(jwt) = &resolution.policy.access.subscribe[0].kind else {
            panic!("a jwt rule");
        };
        let JwtKeys::Fixed(keys) = &jwt.keys else {
            panic!("a key from a Secret");
        };
        assert_eq!(keys.thumbprints().count(), usize::from(said.is_empty()));
        let text = serde_json::to_string(&resolution.form).unwrap();
        let again: Form = serde_json::from_str(&text).unwrap();
        assert_eq!(
            again.policy().unwrap().access.subscribe,
            resolution.policy.access.subscribe
        );
    };
    check(&[("key", b"0123456789abcdef0123456789abcdef\n")], "");
    check(
        &[("key", b"hunter2")],
        "key \"key\" of Secret \"jwt\" is shorter than 32 bytes",
    );
    check(&[("kay", b"")], "Secret \"jwt\" has no key \"key\"; add it");
    let none = resolve(SIGNED, &Secrets::default(), None).unwrap();
    assert!(
        none.problems[0]
            .message
            .contains("does not exist in namespace")
    );
}

/// What is said about one rule of a Channel with the topics `o.{user}`; nothing when it is accepted.
#[track_caller]
fn check_rule(rule: &str, said: &str) {
    let spec = format!("{{topics: ['o.{{user}}'], access: {{subscribe: [{rule}]}}}}");
    let spec: ChannelSpec = serde_saphyr::from_str(&spec).unwrap();
    let spec = serde_json::to_string(&spec).unwrap();
    match resolve(&spec, &Secrets::default(), None) {
        Ok(_) => assert_eq!(said, "", "{rule}"),
        Err(rejection) => {
            assert_eq!(rejection.reason, Reason::InvalidSpec);
            assert!(
                !said.is_empty() && rejection.message.contains(said),
                "{rejection}"
            );
        }
    }
}

#[test]
fn a_jwt_rule_that_could_never_work_says_why() {
    let jwt = |more: &str, said: &str| check_rule(&format!("{{jwt: {{{more}}}}}"), said);
    let jwks = "jwks: {url: 'https://a/keys'}";
    let key = "key: {secretRef: {name: s, key: k}}";
    jwt(&format!("{jwks}, algorithms: [RS256, ES256]"), "");
    jwt(&format!("{key}, algorithms: [HS256]"), "");
    jwt(
        &format!("{jwks}, algorithms: []"),
        "[0].jwt.algorithms is empty",
    );
    jwt(
        &format!("{jwks}, algorithms: [HS256]"),
        "must not be published",
    );
    jwt(
        &format!("{key}, algorithms: [HS256, RS256]"),
        "use a rule for each",
    );
    jwt(
        &format!("{jwks}, {key}, algorithms: [RS256]"),
        "set exactly one of jwks, key",
    );
    jwt("algorithms: [RS256]", "set exactly one of jwks, key");
    jwt(
        "jwks: {url: 'ftp://a'}, algorithms: [RS256]",
        "[0].jwt.jwks.url cannot be read",
    );
    jwt(
        "jwks: {url: 'https://u:p@a'}, algorithms: [RS256]",
        "no place for secrets",
    );
    jwt(
        &format!("{jwks}, issuer: '', algorithms: [RS256]"),
        "issuer has 1 to 512",
    );
    jwt(
        &format!("{jwks}, audiences: [''], algorithms: [RS256]"),
        "audiences takes",
    );
}

#[test]
fn a_rule_that_could_never_work_says_why() {
    check_rule("{anonymous: {}, when: \"topic.user == 'a'\"}", "");
    check_rule("{serviceAccounts: {}}", "");
    check_rule("{serviceAccounts: {audiences: []}}", "leave it out");
    check_rule(
        "{serviceAccounts: {recheck: 1s}}",
        "serviceAccounts.recheck is 1s; use 10s to 1h",
    );
    check_rule("{webhook: {url: 'http://a/allow', timeout: 2s}}", "");
    check_rule(
        "{webhook: {url: 'http://a', timeout: 11s}}",
        "webhook.timeout is 11s; use 100ms to 10s",
    );
    check_rule("{webhook: {url: 'a'}}", "webhook.url cannot be read");
    check_rule(
        "{anonymous: {}, when: \"topic.usr == 'a'\"}",
        "no pattern of spec.topics has {usr}",
    );
    check_rule(
        "{anonymous: {}, when: 'claims.'}",
        "[0].when cannot be read as CEL at",
    );
}

#[test]
fn a_secret_that_cannot_be_read_now_leaves_what_was_read_before() {
    let secrets = secrets(&[("readers", &[("ana", b"a")])]);
    let before = resolve(READERS, &secrets, None).unwrap();
    let mut unreadable = Secrets::default();
    unreadable.insert_unreadable("shop", "readers");
    let now = resolve(READERS, &unreadable, Some(&before.form)).unwrap();
    check(&now, "cannot be read now");
    assert_eq!(now.problems[0].reason, Reason::SecretUnreadable);
    assert_eq!(holders(&now), holders(&before));
    assert_eq!(now.form.digest, before.form.digest);
    let never = resolve(READERS, &unreadable, None).unwrap();
    check(&never, "cannot be read now");
    assert_eq!(holders(&never), []);
}

#[test]
fn service_accounts_need_a_fleet_that_asks() {
    let spec = r#"{"access": {"publish": [{"serviceAccounts": {}}]}}"#;
    let mut fleet = fleet();
    fleet.reviews = false;
    let resolution = resolve_for(&fleet, spec, &Secrets::default(), None).unwrap();
    check(&resolution, "install with gateway.reviews=true");
    assert_eq!(resolution.problems[0].reason, Reason::ReviewsUnavailable);
    check(&resolve(spec, &Secrets::default(), None).unwrap(), "");
}
