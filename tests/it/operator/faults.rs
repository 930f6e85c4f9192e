//! Whatever fails between Channel and gateway, what is in force stays in force, and what changed meanwhile comes into
//! force afterwards without anybody's help.

mod crowd; // more Channels than a Snapshot has room for
mod mute; // ready Pods that give no report
mod namespace; // a namespace goes with all that is in it
mod outage; // no API server for half a minute
mod refused; // changes that cannot be, beside Channels that can
mod schema; // no CustomResourceDefinition, or one that was looser once
mod secrets; // Secrets of the team that go, come back, or cannot be read
mod snapshot; // the operator's own Secret, deleted or overwritten
mod storms; // an API server that answers 429 or 500
mod watches; // watches that are silent, or come too late

use super::{FleetSetup, OperatorSetup, Pod, SHOP, World, listen, open, publish, until};
use std::time::Duration;
use tests::cluster::{Cluster, Via};
use tests::http::Ask;
use tests::listen::Listener;
use tests::manifest::Channel;
use tests::redis::Redis;
use tests::wait::until_time;

/// One gateway and the operator, each by its way to the API server if it has another.
async fn world(cluster: Cluster, operator: Option<Via>, gateway: Option<Via>) -> World {
    let redis = Redis::start().await;
    let mut fleet = FleetSetup::new("default").redis(&redis.url());
    let mut setup = OperatorSetup::new();
    if let Some(via) = operator {
        setup = setup.via(via);
    }
    if let Some(via) = gateway {
        fleet = fleet.via(via);
    }
    World::with(cluster, redis, setup, fleet, 1).await
}

impl World {
    /// The one gateway.
    fn pod(&self) -> Pod {
        self.fleet.pods().remove(0)
    }

    /// Applies a Channel that everybody may use and waits until it is served.
    async fn serve(&self, name: &str) {
        self.apply(&open(name)).await;
        self.until_condition(name, "Ready", "True", "Ready").await;
    }

    /// What is published to `topic` arrives at a stream that was open before.
    async fn goes_on(&self, topic: &str, listener: &mut Listener) {
        publish(&self.pod(), topic, "it goes on").await;
        assert_eq!(listener.next().await.data, "it goes on");
    }

    /// Waits until the gateway serves the topic.
    async fn until_gateway_serves(&self, topic: &str, limit: Duration) {
        let path = format!("/shop/history?channel={topic}");
        until_time(limit, format!("{topic} to be served"), || async {
            match Ask::get(self.pod().public, &path).send().await.status {
                200 => Ok(()),
                other => Err(format!("it answers {other}\n{}", self.operator.log())),
            }
        })
        .await;
    }

    /// What is newest on the API server.
    async fn revision(&self) -> u64 {
        let list = self.cluster.get("/api/v1/namespaces/default/configmaps");
        let list = list.await.expect(200).json();
        let revision = list["metadata"]["resourceVersion"].as_str();
        let revision = revision.and_then(|text| text.parse().ok());
        revision.unwrap_or_else(|| panic!("no revision: {list}"))
    }
}
