//! The operator on a real API server: Channels become what real gateways serve.

mod claims; // one gateway name, claimed twice
mod crash; // killed at any moment, started again
mod faults; // the API server fails in part or whole, objects are broken, gateways are mute: what is in force stays
mod formats; // versions before and after this one, in one fleet and one after the other
mod leaders; // what the tests of several operators ask of them
mod lease; // two replicas, one of which writes
mod process; // exit codes, and one line for each mistake
mod rights; // the audit log: nothing was denied, nothing is granted in vain
mod scale; // as many gateways as the streams ask for
mod serve; // what kubectl changes is served, and what it takes away ends
mod skew; // replicas that disagree about the time
mod told; // what is written, what is told, how often

use serde_json::{Value, json};
use std::net::SocketAddr;
use tests::cluster::Cluster;
use tests::fleet::{Fleet, Pod, Setup as FleetSetup};
use tests::http::Ask;
use tests::issuer::base64;
use tests::listen::Listen;
use tests::manifest::Channel;
use tests::operator::{Operator, Setup as OperatorSetup};
use tests::redis::Redis;
use tests::wait::until;

/// The namespace of the team.
const SHOP: &str = "shop";

/// A cluster with one fleet and its operator.
struct World {
    fleet: Fleet,
    operator: Operator,
    cluster: Cluster,
    redis: Redis,
}

impl World {
    /// So many gateways with a Redis, ready.
    async fn of(gateways: u32) -> Self {
        let redis = Redis::start().await;
        let fleet = FleetSetup::new("default")
            .redis(&redis.url())
            .replicas(gateways);
        let cluster = Cluster::start().await;
        Self::with(cluster, redis, OperatorSetup::new(), fleet, gateways).await
    }

    async fn with(
        cluster: Cluster,
        redis: Redis,
        operator: OperatorSetup,
        fleet: FleetSetup,
        gateways: u32,
    ) -> Self {
        cluster.install_crd().await;
        cluster.kubectl(&["create", "namespace", SHOP]).await;
        let fleet = fleet
            .fact("url", "https://events.example.com")
            .start(&cluster)
            .await;
        let operator = operator.start(&cluster).await;
        operator.until_ready().await;
        fleet.until_ready(gateways as usize).await;
        Self {
            fleet,
            operator,
            cluster,
            redis,
        }
    }

    /// Applies with kubectl.
    async fn apply(&self, channel: &Channel) {
        self.cluster.apply(&channel.manifest()).await;
    }

    /// Applies a Secret of the team with kubectl.
    async fn apply_secret(&self, name: &str, pairs: &[(&str, &str)]) {
        // As `data`: of `stringData` an apply does not know what it had set before, so nothing would go.
        let data = pairs.iter().map(|(key, value)| {
            let value = base64(value.as_bytes());
            ((*key).to_owned(), Value::from(value))
        });
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": SHOP },
            "data": data.collect::<serde_json::Map<_, _>>(),
        });
        self.cluster.apply(&secret).await;
    }

    /// The Channel of the team as the API server has it.
    async fn channel(&self, name: &str) -> Value {
        let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/{name}");
        self.cluster.get(&path).await.expect(200).json()
    }

    /// Waits for a condition with that status and reason, of the newest generation; answers its message.
    async fn until_condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> String {
        let what = format!("{name} to be {type_}={status}, {reason}");
        until(&what, || async {
            let channel = self.channel(name).await;
            let conditions = channel["status"]["conditions"].as_array().cloned();
            let conditions = conditions.unwrap_or_default();
            let condition = conditions.into_iter().find(|one| one["type"] == type_);
            let condition = condition.ok_or("it has no such condition")?;
            let current = condition["observedGeneration"] == channel["metadata"]["generation"];
            if current && condition["status"] == status && condition["reason"] == reason {
                return Ok(condition["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(condition.to_string())
        })
        .await
    }
}

/// A stream of the team.
fn listen(pod: &Pod, topic: &str) -> Listen {
    pod.listen(topic).path("/shop/stream")
}

/// Publishes to a topic of the team.
async fn publish(pod: &Pod, topic: &str, data: &str) {
    let path = format!("/shop/publish?channel={topic}");
    let _ = Ask::post(pod.public, &path, data).send().await.expect(200);
}

/// A Channel of the team that everybody may use.
fn open(name: &str) -> Channel {
    Channel::open(name).namespace(SHOP)
}

/// A ready Pod of a fleet with that admin port, where no gateway listens.
async fn ready_pod(cluster: &Cluster, fleet: &str, name: &str, admin: SocketAddr) {
    let pods = "/api/v1/namespaces/siar/pods";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "siar.dev/gateway": fleet } },
        "spec": {
            "nodeName": "node-1", "automountServiceAccountToken": false,
            "serviceAccountName": format!("siar-gateway-{fleet}"),
            "containers": [{
                "name": "gateway", "image": "siar-gateway",
                "ports": [{ "name": "admin", "containerPort": admin.port() }],
            }],
        },
    });
    let _ = cluster.create(pods, &pod).await.expect(201);
    let status = json!({ "status": {
        "phase": "Running", "podIP": admin.ip(), "podIPs": [{ "ip": admin.ip() }],
        "conditions": [{ "type": "Ready", "status": "True" }],
    } });
    let path = format!("{pods}/{name}/status");
    let _ = cluster.merge(&path, &status).await.expect(200);
}
