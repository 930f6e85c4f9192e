//! A fleet and its Channels as sentences, for the tests beside this file.

use super::collect::{Facts, Owner, Pod};
use super::reports::Reports;
use crate::stores::stored::Stored;
use crds::compile::{Compiled, compile};
use crds::fleet::Fleet;
use crds::report::{BrokerKind, ChannelReport, Report};
use crds::secrets::Secrets;
use crds::targets::Targets;
use serde_json::json;
use std::collections::BTreeMap;

/// A fleet of two Pods with a Redis.
pub fn facts() -> Facts {
    Facts {
        fleet: Fleet {
            gateway: "default".to_owned(),
            default_namespace: "siar".to_owned(),
            broker: BrokerKind::Redis,
            reviews: true,
            targets: Targets::cluster([]),
        },
        owner: Owner {
            name: "siar-gateway".to_owned(),
            uid: "d-1".to_owned(),
        },
        url: Some("https://events.example.com".to_owned()),
        replicas: 2,
    }
}

/// Channel `shop/orders` as the API server has it.
pub fn orders(spec: &serde_json::Value) -> Stored {
    let metadata = json!({"namespace": "shop", "name": "orders", "uid": "u-1", "generation": 3,
        "resourceVersion": "100"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// What compiling it comes to.
pub fn compiled(stored: &Stored) -> Compiled {
    compile(
        &facts().fleet,
        [stored.declared()],
        &Secrets::default(),
        None,
    )
}

/// Ready Pods of these names.
pub fn pods(names: &[&str]) -> Vec<Pod> {
    let pod = |name: &&str| Pod {
        name: (*name).to_owned(),
        uid: format!("uid-{name}"),
        admin: None,
        ready: true,
        cost: None,
    };
    names.iter().map(pod).collect()
}

/// Each of the Pods serves `shop/orders` in the form of this digest, to so many streams.
pub fn reports(pods: &[Pod], digest: &str, streams: u64) -> Reports {
    let channel = ChannelReport {
        uid: "u-1".to_owned(),
        generation: 3,
        digest: digest.to_owned(),
        streams,
    };
    let report = Report {
        formats: vec![1],
        revision: "r".to_owned(),
        broker: BrokerKind::Redis,
        draining: false,
        streams,
        channels: BTreeMap::from([("shop/orders".to_owned(), channel)]),
    };
    let mut reports = Reports::default();
    for pod in pods {
        reports.heard(pod, report.clone(), crate::clock::now().steady);
    }
    reports
}
