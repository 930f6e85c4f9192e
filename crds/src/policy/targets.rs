//! Checks where the URLs of a Channel lead.
//!
//! Owns: which fields hold one. Never: checks their form, which their own sections do first; repeats a
//! URL. Used by: `policy`.

use super::{RedisServer, Rejection};
use crate::channel::{AccessRule, ChannelSpec};
use crate::reason::Reason;
use crate::targets::Targets;

/// Refuses the first URL that leads where no tenant may send the gateway.
pub fn check(
    spec: &ChannelSpec,
    redis: Option<&RedisServer>,
    targets: &Targets,
) -> Result<(), Rejection> {
    let refuse = |field: &str, refused: String| {
        Rejection::new(Reason::TargetRefused, format!("{field} {refused}."))
    };
    if let Some(redis) = redis {
        let judged = targets.judge_redis(&redis.id.url);
        judged.map_err(|refused| refuse("spec.redis.url", refused))?;
    }
    for (field, url) in urls(spec) {
        let judged = targets.judge_url(url);
        judged.map_err(|refused| refuse(&field, refused))?;
    }
    Ok(())
}

/// Every URL of the web that the gateway would connect to, with the name of its field.
fn urls(spec: &ChannelSpec) -> impl Iterator<Item = (String, &str)> {
    let access = spec.access.iter();
    let rules = access.flat_map(|access| {
        [
            ("subscribe", &access.subscribe),
            ("publish", &access.publish),
        ]
    });
    rules.flat_map(|(action, rules)| {
        let numbered = rules.iter().enumerate();
        numbered.flat_map(move |(at, rule)| of_rule(rule, format!("spec.access.{action}[{at}]")))
    })
}

fn of_rule(rule: &AccessRule, field: String) -> impl Iterator<Item = (String, &str)> {
    let keys = rule.jwt.as_ref().and_then(|jwt| jwt.jwks.as_ref());
    let keys = keys.map(|keys| ("jwt.jwks.url", &*keys.url));
    let webhook = rule.webhook.as_ref();
    let webhook = webhook.map(|webhook| ("webhook.url", &*webhook.url));
    let both = keys.into_iter().chain(webhook);
    both.map(move |(name, url)| (format!("{field}.{name}"), url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Resolved;
    use crate::policy::redis::server;

    #[track_caller]
    fn judge(spec: &str, expected: Result<(), &str>) {
        let spec: ChannelSpec = serde_json::from_str(spec).unwrap();
        let redis = spec.redis.as_ref();
        let redis = redis.map(|redis| server("shop", redis, &Resolved::default()).unwrap());
        let judged = check(&spec, redis.as_deref(), &Targets::cluster([]));
        match (&judged, expected) {
            (Ok(()), Ok(())) => {}
            (Err(rejection), Err(said)) => {
                assert_eq!(rejection.reason, Reason::TargetRefused);
                assert!(rejection.message.starts_with(said), "{rejection}");
                assert!(rejection.message.contains("--allow-targets"), "{rejection}");
                assert!(rejection.message.ends_with('.'), "{rejection}");
            }
            _ => panic!("{judged:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn every_field_with_a_url_is_judged() {
        judge("{}", Ok(()));
        judge(r#"{"redis": {"url": "redis://redis.shop"}}"#, Ok(()));
        judge(
            r#"{"redis": {"url": "redis://127.1"}}"#,
            Err("spec.redis.url leads to 127.0.0.1, which is a loopback address; "),
        );
        let access = |action: &str, rule: &str| {
            format!(r#"{{"access": {{"{action}": [{{"anonymous": {{}}}}, {rule}]}}}}"#)
        };
        let keys = |url: &str| {
            format!(r#"{{"jwt": {{"algorithms": ["RS256"], "jwks": {{"url": "{url}"}}}}}}"#)
        };
        judge(
            &access("subscribe", &keys("https://auth.shop/keys")),
            Ok(()),
        );
        judge(
            &access("subscribe", &keys("http://169.254.169.254/")),
            Err(
                "spec.access.subscribe[1].jwt.jwks.url leads to 169.254.169.254, which is a link-local",
            ),
        );
        let webhook = |url: &str| format!(r#"{{"webhook": {{"url": "{url}"}}}}"#);
        judge(&access("publish", &webhook("http://pay.shop/")), Ok(()));
        judge(
            &access("publish", &webhook("http://localhost:9090/")),
            Err("spec.access.publish[1].webhook.url leads to \"localhost\"; "),
        );
    }

    #[test]
    fn user_info_is_never_repeated() {
        let rule = r#"{"webhook": {"url": "https://ana:hunter2@auth.shop/?key=hunter2"}}"#;
        let spec = format!(r#"{{"access": {{"subscribe": [{rule}]}}}}"#);
        let spec: ChannelSpec = serde_json::from_str(&spec).unwrap();
        let rejection = check(&spec, None, &Targets::standalone()).unwrap_err();
        assert!(!rejection.message.contains("hunter2"), "{rejection}");
        assert!(rejection.message.contains("remove"), "{rejection}");
    }
}
