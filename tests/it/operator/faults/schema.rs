//! The kind Channel is not there, or was there in a looser form under which something else was stored.

use super::*;
use serde_json::json;

/// The kind as it might have been once: whatever is in it is kept.
const LOOSE: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: channels.siar.dev}
spec:
  group: siar.dev
  scope: Namespaced
  names: {kind: Channel, listKind: ChannelList, plural: channels, singular: channel}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

impl World {
    /// Stores, under the loose kind, what the real one would refuse, and gives the kind back its form. The operator
    /// is away meanwhile: it finds the real kind with an object that does not fit.
    async fn spoil(&mut self, name: &str, spec: &serde_json::Value) {
        self.operator.kill9();
        self.cluster.apply_yaml(LOOSE).await;
        let object = json!({
            "apiVersion": "siar.dev/v1alpha1", "kind": "Channel",
            "metadata": { "name": name, "namespace": SHOP }, "spec": spec,
        });
        let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels");
        // A changed kind counts a moment after it was taken.
        until("the loose kind to count", || async {
            let made = self.cluster.create(&path, &object).await;
            let answer = match made.status {
                409 => {
                    let change = json!({ "spec": spec });
                    self.cluster.merge(&format!("{path}/{name}"), &change).await
                }
                _ => made,
            };
            match answer.status {
                200 | 201 => Ok(()),
                _ => Err(answer.text()),
            }
        })
        .await;
        self.cluster.install_crd().await;
        until("the real kind to count", || async {
            let mut object = object.clone();
            object["metadata"]["name"] = json!("another");
            let dry = format!("{path}?dryRun=All");
            match self.cluster.create(&dry, &object).await.status {
                422 => Ok(()),
                other => Err(format!("it answers {other}")),
            }
        })
        .await;
        self.operator.start_again().await;
    }
}

#[tokio::test]
async fn a_malformed_channel_is_told_so_and_its_neighbours_are_served() {
    let mut world = world(Cluster::start().await, None, None).await;
    world.serve("orders").await;
    let mut neighbour = listen(&world.pod(), "orders").await;
    world.spoil("odd", &json!({ "topics": 7 })).await;
    let why = world
        .until_condition("odd", "Accepted", "False", "InvalidSpec")
        .await;
    assert!(why.contains("apply it anew"), "{why}");
    assert!(why.contains("not served"), "{why}");
    world
        .until_condition("odd", "Ready", "False", "InvalidSpec")
        .await;
    world.serve("late").await;
    world.goes_on("orders", &mut neighbour).await;
    let mut right = open("odd").with("topics", json!(null)).manifest();
    let right = json!({ "spec": right["spec"].take() });
    let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/odd");
    let _ = world.cluster.merge(&path, &right).await.expect(200);
    world.until_condition("odd", "Ready", "True", "Ready").await;
    drop(listen(&world.pod(), "odd").await);
}

#[tokio::test]
async fn a_channel_that_was_good_before_stays_in_its_last_good_form() {
    let mut world = world(Cluster::start().await, None, None).await;
    world.serve("orders").await;
    let mut listener = listen(&world.pod(), "orders").await;
    world.spoil("orders", &json!({ "topics": 7 })).await;
    let why = world
        .until_condition("orders", "Accepted", "False", "InvalidSpec")
        .await;
    assert!(why.contains("generation 1 is served"), "{why}");
    world.goes_on("orders", &mut listener).await;
    world.serve("late").await;
    world.goes_on("orders", &mut listener).await;
}

#[tokio::test]
async fn without_the_kind_the_operator_says_what_is_missing_and_goes_on_when_it_comes() {
    let cluster = Cluster::start().await;
    let fleet = FleetSetup::new("default").start(&cluster).await;
    let mut operator = OperatorSetup::new().start(&cluster).await;
    let process = operator.process().pid();
    operator
        .until_logged(&["WARN", "install the CustomResourceDefinition"])
        .await;
    // All else has been listed by then, or soon.
    until("the kind alone to be missing", || async {
        let (status, text) = operator.probe("/readyz").await;
        let missing = "not ready: no list of Channels yet (is the CustomResourceDefinition channels.siar.dev installed?)\n";
        if (status, &*text) == (503, missing) {
            return Ok(());
        }
        Err(format!("{status} {text}"))
    })
    .await;
    assert_eq!(operator.probe("/livez").await.0, 200);
    assert!(fleet.secret().await.is_none(), "half a world is published");
    cluster.install_crd().await;
    operator.until_ready().await;
    let _ = fleet.until_ready(1).await;
    operator.process().must_run();
    assert_eq!(operator.process().pid(), process);
}
