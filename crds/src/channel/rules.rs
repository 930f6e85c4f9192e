//! What the API server says in words where a pattern or a bound alone would leave people guessing.
//!
//! Owns: the patterns of the schema, and a rule with a sentence beside each. Never: holds for
//! manifests from files (`policy` says the same again). Used by: the sections of `channel`.

use crate::duration::PATTERN as DURATION;
use kube::core::{Rule, validate};
use schemars::Schema;

pub const GATEWAY: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
pub const SECRET_NAME: &str = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";
pub const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
pub const REDIS_URL: &str = r"^rediss?(\+sentinel|\+cluster)?://(\[[0-9A-Fa-f:.]+\]|[-._A-Za-z0-9]+)(:[0-9]{1,5})?(,(\[[0-9A-Fa-f:.]+\]|[-._A-Za-z0-9]+)(:[0-9]{1,5})?){0,15}(/[0-9]{0,5})?(\?master=[-._A-Za-z0-9]{1,128})?$";
pub const WEB_URL: &str = "^https?://[^ ]+$";
const ORIGIN: &str =
    r"^(\*|[A-Za-z][-+.A-Za-z0-9]*://(\[[0-9A-Fa-f:.]+\]|[-._A-Za-z0-9]+)(:[0-9]{1,5})?)$";
const CAPTURES: &str = r"^([^{}]|\{[a-zA-Z][a-zA-Z0-9_]{0,31}\})*$";

/// A length of time within bounds.
pub fn time(min: &str, max: &str) -> Rule {
    let range = within(min, max);
    let message = format!("use {min} to {max}, as in 250ms, 30s or 1h30m");
    Rule::new(format!("{} && {range}", matches(DURATION))).message(&*message)
}

/// A length of time within bounds, or none.
pub fn time_or_never(min: &str, max: &str) -> Rule {
    let range = within(min, max);
    let message = format!("use {min} to {max}, as in 30m or 1h30m, or 0s for never");
    let zero = "duration(self) == duration('0s')";
    Rule::new(format!("{} && ({zero} || {range})", matches(DURATION))).message(&*message)
}

/// The gateway never changes.
pub fn same_gateway() -> Rule {
    Rule::new("self == oldSelf")
        .message("a Channel stays with its gateway; create a new Channel instead")
}

/// The name of a gateway.
pub fn gateway() -> Rule {
    Rule::new(matches(GATEWAY))
        .message("use lower-case letters, digits and -, with a letter or a digit at both ends")
}

/// The name of a Secret.
pub fn secret_name() -> Rule {
    Rule::new(matches(SECRET_NAME)).message(
        "name a Secret in the Channel's namespace: lower-case letters, digits, - and ., with a letter or a digit at both ends",
    )
}

/// A key in a Secret.
pub fn secret_key() -> Rule {
    Rule::new(matches(SECRET_KEY))
        .message("a key of a Secret has letters, digits, -, _ and ., and at least one of them")
}

/// The URL of a Redis server.
pub fn redis_url() -> Rule {
    let form = matches(REDIS_URL);
    Rule::new(format!("self.contains('@') || {form}")).message(
        "write redis://host:6379/0, redis+sentinel://host:26379,host:26379/0?master=NAME or redis+cluster://host:6379,host:6379, each with rediss for TLS",
    )
}

/// Several hosts mean Sentinels or a cluster.
pub fn one_host() -> Rule {
    Rule::new("self.contains('@') || self.contains('+') || !self.contains(',')")
        .message("name one host, or say with redis+sentinel:// or redis+cluster:// what they are")
}

/// Sentinels need the name of a master; nothing else has one.
pub fn master_of_sentinels() -> Rule {
    Rule::new("self.contains('@') || self.contains('+sentinel://') == self.contains('?master=')")
        .message("end redis+sentinel:// with ?master=NAME, the name in the Sentinels' configuration, and no other URL")
}

/// A cluster has only the database 0.
pub fn no_database_in_a_cluster() -> Rule {
    Rule::new(r"!self.matches(r'^rediss?\+cluster://.*/0*[1-9]')")
        .message("a cluster has no database but 0: leave it out")
}

/// No credentials in the URL of a Redis server.
pub fn redis_url_without_password() -> Rule {
    Rule::new("!self.contains('@')").message(
        "put the user name and the password into the Secret that secretRef names, not into the URL",
    )
}

/// A prefix as it can stand in a name.
pub fn prefix() -> Rule {
    Rule::new(r"!self.matches(r'\p{Cc}')").message("use no control characters")
}

/// The URL of something on the web.
pub fn web_url() -> Rule {
    Rule::new(matches(WEB_URL))
        .message("write https://host/path or http://host/path, without blanks")
}

/// No credentials in a URL.
pub fn web_url_without_password() -> Rule {
    Rule::new("!self.matches(r'^[a-z]+://[^/?#]*@')")
        .message("leave the user name and the password out: a Channel is no place for secrets")
}

/// Shared keys and public keys are different things.
pub fn algorithms_of_one_side() -> Rule {
    Rule::new(
        "!self.algorithms.exists(a, a.startsWith('HS')) || self.algorithms.all(a, a.startsWith('HS'))",
    )
    .message("use a rule of its own for HS algorithms: they take a shared key, the others a public one")
}

/// A shared key is not published.
pub fn no_published_shared_key() -> Rule {
    Rule::new("!has(self.jwks) || !self.algorithms.exists(a, a.startsWith('HS'))")
        .message("HS algorithms take their key from a Secret: use key instead of jwks")
}

/// What each entry of `topics` is.
pub fn each_topic(schema: &mut Schema) {
    let text = r"self != '*' && bytes(self).size() <= 255 && !self.matches(r'^\s|\s$|\p{Cc}')";
    let text = Rule::new(text).message(
        "a topic has at most 255 bytes, no control character, no blank at either end, and is not *",
    );
    let captures = Rule::new(format!("{} && !self.contains('}}{{')", matches(CAPTURES))).message(
        "a capture is written {name}, with a letter first, then letters, digits or _, at most 32 of them; put a character between two captures",
    );
    each(schema, [text, captures]);
}

/// What each entry of `origins` is.
pub fn each_origin(schema: &mut Schema) {
    let rule = Rule::new(matches(ORIGIN))
        .message("write scheme://host or scheme://host:port, without a path, or * for any page");
    each(schema, [rule]);
}

/// Gives the rules to the entries of a list, so that a message names the entry.
fn each<const N: usize>(schema: &mut Schema, rules: [Rule; N]) {
    let items = schema.get_mut("items").expect("a list has items");
    let mut entry = Schema::try_from(items.take()).expect("items have a schema");
    for rule in rules {
        validate(&mut entry, rule).expect("a rule is JSON");
    }
    *items = entry.to_value();
}

fn matches(pattern: &str) -> String {
    format!("self.matches(r'{pattern}')")
}

fn within(min: &str, max: &str) -> String {
    format!("duration(self) >= duration('{min}') && duration(self) <= duration('{max}')")
}
