//! Channels in, verdicts and what is served out.

use super::*;
use crate::channel::Channel;
use crate::manifest::{self, Object};
use crate::name::Topic;
use crate::report::BrokerKind;
use crate::targets::Targets;
use proptest::prelude::*;

/// With a Redis, and everything allowed.
pub fn fleet() -> Fleet {
    Fleet {
        broker: BrokerKind::Redis,
        ..Fleet::standalone("home")
    }
}

/// The Channels and Secrets of manifests.
#[derive(Default)]
struct World {
    channels: Vec<Channel>,
    secrets: Secrets,
}

impl World {
    /// One Channel for each pair of name and spec, in flow style.
    fn of(channels: &[(&str, &str)]) -> Self {
        let mut world = Self::default();
        for (name, spec) in channels {
            world.read(&format!(
                "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {{name: {name}}}\nspec: {spec}\n"
            ));
        }
        world
    }

    fn with_secret(mut self, name: &str, data: &str) -> Self {
        self.read(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {data}\n"
        ));
        self
    }

    fn with_ages(mut self, ages: &[i64]) -> Self {
        for (channel, age) in self.channels.iter_mut().zip(ages) {
            let time = json_time(*age);
            channel.metadata.creation_timestamp = serde_json::from_value(time.into()).unwrap();
        }
        self
    }

    fn read(&mut self, text: &str) {
        for document in manifest::parse(text, "home") {
            let document = document.unwrap();
            match document.object {
                Object::Channel(channel) => self.channels.push(*channel),
                Object::Secret(data) => {
                    self.secrets
                        .insert(&document.namespace, &document.name, data);
                }
            }
        }
    }

    fn compile(&self, previous: Option<&Snapshot>) -> Compiled {
        compile(&fleet(), &self.channels, &self.secrets, previous)
    }
}

fn json_time(age: i64) -> String {
    format!("2026-01-01T00:00:{:02}Z", 59 - age)
}

/// Who owns `topic` in the namespace `home`.
fn owner(snapshot: &Snapshot, topic: &str) -> Option<String> {
    let topic = Topic::new(topic).unwrap();
    let policy = snapshot.find("home", &topic)?;
    Some(policy.channel.name().to_string())
}

/// The only verdict says `reason`, and `said` is part of its message.
#[track_caller]
fn check(compiled: &Compiled, reason: Reason, said: &str) {
    let [verdict] = &*compiled.verdicts else {
        panic!("{:?}", compiled.verdicts);
    };
    let accepted = &verdict.accepted;
    assert_eq!(accepted.reason, reason, "{accepted:?}");
    assert_eq!(accepted.holds, reason == Reason::Accepted, "{accepted:?}");
    assert!(accepted.message.contains(said), "{accepted:?}");
}

#[track_caller]
fn check_spec(spec: &str, reason: Reason, said: &str) {
    check(&World::of(&[("orders", spec)]).compile(None), reason, said);
}

#[test]
fn only_channels_of_this_gateway_are_compiled() {
    let world = World::of(&[("a", "{}"), ("b", "{gateway: other}")]);
    let compiled = world.compile(None);
    assert_eq!(owner(&compiled.snapshot, "a").as_deref(), Some("a"));
    assert_eq!(owner(&compiled.snapshot, "b"), None);
    check(&compiled, Reason::Accepted, "in force");
}

#[test]
fn every_bound_of_the_schema_is_checked_again() {
    let invalid = |spec: &str, said: &str| check_spec(spec, Reason::InvalidSpec, said);
    invalid(
        "{history: {size: 0}}",
        "spec.history.size is 0; use 1 to 100000.",
    );
    invalid(
        "{history: {size: 1, ttl: 169h}}",
        "spec.history.ttl is 169h; use 1s to 168h.",
    );
    invalid("{stream: {maxAge: 59s}}", "spec.stream.maxAge");
    invalid("{stream: {retry: soon}}", "is not a duration");
    invalid("{limits: {streams: -1}}", "spec.limits.streams is -1");
    invalid("{limits: {messageBytes: 1048577}}", "use 1 to 1048576");
    invalid("{limits: {streamsPerClient: 0}}", "streamsPerClient");
    invalid(
        "{scaling: {minReplicas: 3, maxReplicas: 2}}",
        "must not be greater",
    );
    invalid("{access: {origins: [example.com]}}", "is not an origin");
    invalid(
        "{access: {subscribe: [{}]}}",
        "spec.access.subscribe[0]: set exactly one",
    );
    invalid(
        "{redis: {url: 'redis://a', prefix: \"\\n\"}}",
        "spec.redis.prefix",
    );
    invalid(
        "{redis: {url: 'http://a'}}",
        "spec.redis.url cannot be read",
    );
    check_spec(
        "{topics: ['a{']}",
        Reason::InvalidTopic,
        "captures are written {name}",
    );
    check_spec("{stream: {maxAge: 0s}}", Reason::Accepted, "");
    let many = format!(
        "{{topics: {:?}}}",
        Vec::from_iter((0..17).map(|n| n.to_string()))
    );
    invalid(&many, "spec.topics has 17 patterns; use at most 16.");
    let mut world = World::of(&[("orders", "{}")]);
    world.channels[0].metadata.name = Some("Orders".to_owned());
    check(
        &world.compile(None),
        Reason::InvalidSpec,
        "metadata.name is not a name",
    );
}

#[test]
fn a_redis_of_every_shape_is_served_and_each_of_its_hosts_judged() {
    for url in [
        "redis://a",
        "redis+sentinel://a,b/1?master=m",
        "rediss+cluster://a,b:1",
    ] {
        let spec = format!("{{redis: {{url: '{url}'}}}}");
        check_spec(&spec, Reason::Accepted, "");
    }
    let world = World::of(&[("orders", "{redis: {url: 'redis+cluster://a,127.1'}}")]);
    let mut strict = fleet();
    strict.targets = Targets::cluster([]);
    let compiled = compile(&strict, &world.channels, &world.secrets, None);
    let said = "spec.redis.url leads to 127.0.0.1, which is a loopback address";
    check(&compiled, Reason::TargetRefused, said);
}

#[test]
fn a_url_that_leads_where_it_must_not_is_refused_and_the_last_good_form_with_it() {
    let world = World::of(&[("orders", "{redis: {url: 'redis://127.0.0.1:6379'}}")]);
    let first = world.compile(None);
    check(&first, Reason::Accepted, "");
    let mut strict = fleet();
    strict.targets = Targets::cluster([]);
    let previous = Some(&first.snapshot);
    let compiled = compile(&strict, &world.channels, &world.secrets, previous);
    let said = "spec.redis.url leads to 127.0.0.1, which is a loopback address; name a host elsewhere, or list what is allowed with --allow-targets. The Channel is not served.";
    check(&compiled, Reason::TargetRefused, said);
    assert_eq!(owner(&compiled.snapshot, "orders"), None);
    let unreadable = "{redis: {url: 'redis://1.2.3.4.5'}}";
    check_spec(
        unreadable,
        Reason::TargetRefused,
        "spec.redis.url is no URL",
    );
}

#[test]
fn ingest_needs_a_redis_that_is_not_shared_with_strangers() {
    let world = World::of(&[("orders", "{ingest: [FlaskSse]}")]);
    check(&world.compile(None), Reason::Accepted, "");
    let mut memory = fleet();
    memory.broker = BrokerKind::Memory;
    let compiled = compile(&memory, &world.channels, &world.secrets, None);
    check(&compiled, Reason::NoRedis, "set spec.redis.url");
    let mut away = fleet();
    away.default_namespace = "elsewhere".to_owned();
    let compiled = compile(&away, &world.channels, &world.secrets, None);
    check(&compiled, Reason::SharedIngest, "set spec.redis.url");
    let own = World::of(&[("orders", "{ingest: [Raw], redis: {url: 'redis://a'}}")]);
    for fleet in [memory, away] {
        let compiled = compile(&fleet, &own.channels, &own.secrets, None);
        check(&compiled, Reason::Accepted, "");
    }
}

#[test]
fn a_rejected_change_leaves_the_last_good_form_in_force() {
    let good = World::of(&[("orders", "{topics: [a]}")])
        .compile(None)
        .snapshot;
    let mut world = World::of(&[("orders", "{topics: [b, '{']}")]);
    let compiled = world.compile(Some(&good));
    check(
        &compiled,
        Reason::InvalidTopic,
        "its last good form is served",
    );
    assert_eq!(owner(&compiled.snapshot, "a").as_deref(), Some("orders"));
    assert_eq!(owner(&compiled.snapshot, "b"), None);
    assert_eq!(compiled.snapshot.revision, good.revision);
    world.channels[0].metadata.uid = Some("another".to_owned());
    let compiled = world.compile(Some(&good));
    check(&compiled, Reason::InvalidTopic, "is not served");
    assert!(compiled.snapshot.policies().is_empty());
    assert_eq!(compiled.verdicts[0].in_force, None);
}

#[test]
fn the_verdict_names_the_generation_that_is_served() {
    let mut world = World::of(&[("orders", "{}")]);
    world.channels[0].metadata.generation = Some(3);
    let good = world.compile(None).snapshot;
    world.channels[0].metadata.generation = Some(4);
    world.channels[0].spec.topics = vec!["*".to_owned()];
    let compiled = world.compile(Some(&good));
    check(
        &compiled,
        Reason::InvalidTopic,
        "Until then generation 3 is served.",
    );
    assert_eq!(compiled.verdicts[0].generation, 4);
    let served = compiled.verdicts[0].in_force.clone().unwrap();
    assert_eq!(
        (served.generation, served.digest),
        (3, good.policies()[0].digest.to_string())
    );
}

#[test]
fn a_paused_channel_keeps_its_form_and_loses_removed_tokens() {
    let spec = "{access: {subscribe: [{tokens: {secretRef: {name: r}}}]}}";
    let world = World::of(&[("orders", spec)]).with_secret("r", "{ana: a, ben: b}");
    let good = world.compile(None).snapshot;
    let mut world = World::of(&[("orders", "{topics: [b]}")]).with_secret("r", "{ben: b}");
    let annotations = [(PAUSED.to_owned(), "true".to_owned())];
    world.channels[0].metadata.annotations = Some(annotations.into());
    let compiled = world.compile(Some(&good));
    check(&compiled, Reason::Accepted, "paused");
    assert_eq!(
        owner(&compiled.snapshot, "orders").as_deref(),
        Some("orders")
    );
    assert_ne!(compiled.snapshot.revision, good.revision);
}

#[test]
fn of_many_problems_with_secrets_the_first_are_told() {
    let keys: Vec<String> = (0..500).map(|key| format!("k{key}: ''")).collect();
    let spec = "{access: {subscribe: [{tokens: {secretRef: {name: r}}}]}}";
    let world =
        World::of(&[("orders", spec)]).with_secret("r", &format!("{{{}}}", keys.join(", ")));
    let compiled = world.compile(None);
    let told = &compiled.verdicts[0].resolved_refs.message;
    assert!(told.ends_with(" There are 490 more."), "{told}");
    assert!(told.len() < 2_000, "{told}");
}

#[test]
fn the_older_channel_keeps_a_topic_then_the_first_by_name() {
    let specs = [
        ("b", "{topics: ['x.{n}', y]}"),
        ("a", "{topics: [x.1]}"),
        ("c", "{topics: [y]}"),
    ];
    let older = World::of(&specs).with_ages(&[5, 1, 1]).compile(None);
    assert_eq!(owner(&older.snapshot, "x.1").as_deref(), Some("b"));
    let reasons = older.verdicts.iter().map(|verdict| verdict.accepted.reason);
    let reasons: Vec<Reason> = reasons.collect();
    let conflict = Reason::TopicConflict;
    assert_eq!(reasons, [conflict, Reason::Accepted, conflict]);
    let said = &older.verdicts[0].accepted.message;
    assert!(
        said.contains("\"x.1\" meets \"x.{n}\" of the older Channel \"b\""),
        "{said}"
    );
    let named = World::of(&specs).compile(None);
    assert_eq!(owner(&named.snapshot, "x.1").as_deref(), Some("a"));
    assert_eq!(owner(&named.snapshot, "y").as_deref(), Some("c"));
}

#[test]
fn conflicts_are_judged_on_the_forms_in_force() {
    let before = World::of(&[("a", "{topics: [x]}"), ("b", "{topics: [y]}")]).compile(None);
    let now = World::of(&[("a", "{topics: [y, '{']}"), ("b", "{topics: [y]}")]);
    let compiled = now.compile(Some(&before.snapshot));
    assert_eq!(owner(&compiled.snapshot, "y").as_deref(), Some("b"));
    assert_eq!(owner(&compiled.snapshot, "x").as_deref(), Some("a"));
    let taken = World::of(&[("a", "{topics: [x]}"), ("b", "{topics: [x]}")]);
    let compiled = taken.compile(Some(&before.snapshot));
    assert_eq!(owner(&compiled.snapshot, "y").as_deref(), Some("b"));
    assert_eq!(compiled.verdicts[1].accepted.reason, Reason::TopicConflict);
}

#[test]
fn a_channel_declared_twice_is_not_guessed() {
    let twice = World::of(&[("a", "{topics: [x]}"), ("a", "{topics: [y]}"), ("b", "{}")]);
    let compiled = twice.compile(None);
    assert_eq!(
        compiled.verdicts[0].accepted.reason,
        Reason::DuplicateChannel
    );
    assert_eq!(compiled.snapshot.policies().len(), 1);
}

proptest! {
    #[test]
    fn the_order_of_the_input_changes_nothing(
        specs in prop::collection::vec((0..4, 0..6, 0..3i64), 0..7),
        turn in 0..7usize,
    ) {
        let topics = ["x", "y", "x.{n}", "{n}.1", "{", "x.1"];
        let pairs: Vec<_> = specs.iter().map(|(name, topic, _)| {
            (format!("c{name}"), format!("{{topics: ['{}']}}", topics[*topic as usize]))
        }).collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, spec)| (&**name, &**spec)).collect();
        let ages: Vec<_> = specs.iter().map(|(_, _, age)| *age).collect();
        let mut world = World::of(&pairs).with_ages(&ages);
        let first = world.compile(None);
        let turned = turn.min(world.channels.len());
        world.channels.rotate_left(turned);
        world.channels.reverse();
        let again = world.compile(None);
        prop_assert_eq!(&again.verdicts, &first.verdicts);
        prop_assert_eq!(&again.snapshot.revision, &first.snapshot.revision);
        let kept = world.compile(Some(&first.snapshot));
        prop_assert_eq!(&kept.snapshot.revision, &first.snapshot.revision);
        let decoded = Snapshot::decode(first.snapshot.encode().as_bytes()).unwrap();
        prop_assert_eq!(decoded.revision, first.snapshot.revision);
    }

    #[test]
    fn no_spec_makes_it_panic(text in "[ -~é]{0,40}", number in any::<i32>()) {
        let mut world = World::of(&[("orders", "{redis: {url: 'redis://a'}, access: {}, scaling: {}}")]);
        let spec = &mut world.channels[0].spec;
        spec.topics = vec![text.clone()];
        spec.limits.streams = number;
        spec.stream.retry = crate::duration::DurationText::new(&text);
        if let Some(redis) = &mut spec.redis {
            redis.url = format!("redis://{text}");
        }
        if let Some(access) = &mut spec.access {
            access.origins = vec![text.clone()];
        }
        let _compiled = world.compile(None);
        world.channels[0].metadata.name = Some(text);
        let _compiled = world.compile(None);
    }
}
