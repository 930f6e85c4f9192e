//! The way to the gateway and back, and what is refused on it.

use super::*;
use crate::compile::compile;
use crate::fleet::Fleet;
use crate::manifest::{self, Object};
use crate::policy::RuleKind;
use crate::secrets::Secrets;

const MANIFESTS: &str = r"
apiVersion: siar.dev/v1alpha1
kind: Channel
metadata: {name: orders, uid: u-1, generation: 7}
spec:
  topics: [orders, 'orders.{user}', '{any}.x']
  redis: {url: 'rediss://redis:6379/0', secretRef: {name: redis}}
  access: {subscribe: [{tokens: {secretRef: {name: readers}}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: redis}
stringData: {username: siar, password: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: readers}
stringData: {ana: tok-1, ben: tok-2}
";

fn snapshot() -> Snapshot {
    let fleet = Fleet::standalone("home");
    let (mut channels, mut secrets) = (Vec::new(), Secrets::default());
    for document in manifest::parse(MANIFESTS, "home") {
        let document = document.unwrap();
        match document.object {
            Object::Channel(channel) => channels.push(*channel),
            Object::Secret(data) => {
                secrets.insert(&document.namespace, &document.name, data);
            }
        }
    }
    compile(&fleet, &channels, &secrets, None).snapshot
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let error = Snapshot::decode(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_is_decoded_is_what_was_encoded() {
    let snapshot = snapshot();
    let decoded = Snapshot::decode(snapshot.encode().as_bytes()).unwrap();
    assert_eq!(format!("{decoded:?}"), format!("{snapshot:?}"));
    assert_eq!(decoded.encode(), snapshot.encode());
    let policy = decoded
        .channel(&ChannelName::new("home", "orders"))
        .unwrap();
    assert_eq!((&*policy.uid, policy.generation), ("u-1", 7));
    let redis = policy.redis.as_ref().unwrap();
    assert_eq!(redis.password.as_ref().unwrap().expose(), "hunter2");
    let RuleKind::Tokens(holders) = &policy.access.subscribe[0].kind else {
        panic!("tokens");
    };
    let expected: [u8; 32] = Sha256::digest(b"tok-1").into();
    assert_eq!((&*holders[0].name, holders[0].sha256), ("ana", expected));
}

#[test]
fn what_is_packed_comes_back_and_half_of_it_does_not() {
    let snapshot = snapshot();
    let packed = snapshot.pack();
    assert_eq!(packed, snapshot.pack(), "nothing of it is chance");
    let unpacked = Snapshot::unpack(&packed).unwrap();
    assert_eq!(format!("{unpacked:?}"), format!("{snapshot:?}"));
    for wrong in [&packed[..packed.len() / 2], b"{}", b""] {
        let error = Snapshot::unpack(wrong).unwrap_err().to_string();
        assert!(error.contains("is not gzip, or cut short"), "{error}");
    }
}

#[test]
fn bearer_tokens_are_not_in_it_and_passwords_are_not_printed() {
    let snapshot = snapshot();
    assert!(!snapshot.encode().contains("tok-1"));
    assert!(!format!("{snapshot:?}").contains("hunter2"));
}

#[test]
fn a_topic_is_found_by_literal_first_and_only_in_its_namespace() {
    let snapshot = snapshot();
    let find = |namespace, topic| {
        let topic = Topic::new(topic).unwrap();
        snapshot.find(namespace, &topic).is_some()
    };
    for topic in ["orders", "orders.42", "y.x"] {
        assert!(find("home", topic), "{topic}");
        assert!(!find("other", topic), "{topic}");
    }
    assert!(!find("home", "orders.4.2"));
    assert!(
        snapshot
            .channel(&ChannelName::new("home", "other"))
            .is_none()
    );
}

#[test]
fn unknown_fields_pass_and_other_formats_or_changed_content_do_not() {
    let text = snapshot().encode();
    assert!(Snapshot::decode(text.replacen('{', "{\"later\":1,", 1).as_bytes()).is_ok());
    check(&text.replace("\"format\":1", "\"format\":2"), "format 2");
    check(&text.replace("siar", "root"), "revision does not fit");
    check(&text[..text.len() - 1], "cannot be read");
    check("", "cannot be read");
    check("{}", "cannot be read");
}

#[test]
fn a_channel_that_could_not_be_served_is_refused_by_name() {
    let channels = serde_json::value::to_raw_value(&serde_json::json!([{
        "namespace": "home", "name": "a", "uid": "", "generation": 1, "digest": "",
        "spec": {"topics": ["*"]}, "resolved": {},
    }]));
    let channels = channels.unwrap();
    let wire = serde_json::json!({"format": 1, "revision": hash(&channels), "channels": channels});
    check(
        &wire.to_string(),
        "Channel home/a that cannot be served: spec.topics",
    );
}

#[test]
fn the_first_revision_is_empty_and_no_channels_have_one() {
    assert_eq!(&*Snapshot::default().revision, "");
    assert_eq!(Snapshot::new(Vec::new()).revision.len(), 64);
}
