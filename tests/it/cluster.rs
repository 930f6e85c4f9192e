//! A real Kubernetes API server knows Channels, tokens and who may do what.

use serde_json::{Value, json};
use std::time::Duration;
use tests::cluster::{ADMIN, Cluster, Setup};
use tests::http::Ask;
use tests::roles;
use tests::wait::{until, until_time};

#[tokio::test]
async fn kubectl_shows_a_channel_that_was_applied() {
    let cluster = Cluster::start().await;
    cluster.install_crd().await;
    cluster.apply(&channel("orders", "default")).await;
    let table = cluster.kubectl(&["get", "channels"]).await;
    assert!(table.contains("orders"), "{table}");
    let mut broken = channel("broken", "default");
    broken["spec"]["topics"] = json!(7);
    let refused = cluster
        .kubectl_as(
            ADMIN,
            &["apply", "--server-side", "-f", "-"],
            &broken.to_string(),
        )
        .await
        .unwrap_err();
    assert!(refused.contains("spec.topics"), "{refused}");
}

#[tokio::test]
async fn a_token_of_a_service_account_is_good_for_its_audiences_only() {
    let cluster = Cluster::start().await;
    let token = cluster
        .service_account_token("shop", "reader", &["siar"])
        .await;
    let review = review(&cluster, &token, "siar").await;
    assert_eq!(review["authenticated"], true, "{review}");
    assert_eq!(review["audiences"], json!(["siar"]));
    assert_eq!(
        review["user"]["username"],
        "system:serviceaccount:shop:reader"
    );
    let refused = self::review(&cluster, &token, "another").await;
    assert_ne!(refused["authenticated"], true, "{refused}");
    let refused = self::review(&cluster, &format!("{token}x"), "siar").await;
    assert_ne!(refused["authenticated"], true, "{refused}");
}

#[tokio::test]
async fn a_role_for_the_verb_subscribe_admits_who_is_bound_to_it() {
    let cluster = Cluster::start().await;
    cluster.install_crd().await;
    for name in ["reader", "stranger"] {
        let _ = cluster.service_account_token("shop", name, &["siar"]).await;
    }
    cluster
        .kubectl(&[
            "create",
            "role",
            "listen",
            "--namespace=shop",
            "--verb=subscribe",
            "--resource=channels.siar.dev",
            "--resource-name=orders",
        ])
        .await;
    cluster
        .kubectl(&[
            "create",
            "rolebinding",
            "listen",
            "--namespace=shop",
            "--role=listen",
            "--serviceaccount=shop:reader",
        ])
        .await;
    // What the authorizer knows follows what is stored.
    until("the role to count", || async {
        let allowed = may(&cluster, "reader", "subscribe", "orders").await;
        allowed.then_some(()).ok_or("it does not".into())
    })
    .await;
    assert!(!may(&cluster, "reader", "publish", "orders").await);
    assert!(!may(&cluster, "reader", "subscribe", "invoices").await);
    assert!(!may(&cluster, "stranger", "subscribe", "orders").await);
}

#[tokio::test]
async fn a_limited_identity_may_do_what_its_group_may() {
    let setup = Setup::default().identity("ada", &["readers", "writers"]);
    let cluster = setup.start().await;
    let role = [
        "create",
        "clusterrole",
        "readers",
        "--verb=list",
        "--resource=configmaps",
    ];
    cluster.kubectl(&role).await;
    let binding = [
        "create",
        "clusterrolebinding",
        "readers",
        "--clusterrole=readers",
        "--group=readers",
    ];
    cluster.kubectl(&binding).await;
    until("the binding to count", || {
        cluster.kubectl_as("ada", &["get", "configmaps"], "")
    })
    .await;
    let refused = cluster.kubectl_as("ada", &["get", "secrets"], "").await;
    assert!(
        refused
            .unwrap_err()
            .contains("User \"ada\" cannot list resource \"secrets\"")
    );
    let answer = cluster
        .ask("ada", "GET", "/api/v1/namespaces/default/secrets")
        .send()
        .await;
    let _ = answer.expect(403);
    let unknown = Ask::get(cluster.address(), "/api").token("another");
    let unknown = unknown.by(|route| route.tls = Some(tests::certs::trusting(&cluster.ca_path())));
    let _ = unknown.send().await.expect(401);
}

#[tokio::test]
async fn a_kubeconfig_of_a_token_is_that_service_account() {
    let cluster = Cluster::start().await;
    let issuer = "https://kubernetes.default.svc";
    let token = cluster
        .service_account_token("shop", "reader", &[issuer])
        .await;
    let kubeconfig = cluster.kubeconfig_of_token("reader", &token);
    assert_eq!(kubeconfig, cluster.kubeconfig("reader"));
    let who = cluster
        .kubectl_as("reader", &["auth", "whoami"], "")
        .await
        .unwrap();
    assert!(who.contains("system:serviceaccount:shop:reader"), "{who}");
}

#[tokio::test]
async fn the_api_server_comes_back_on_its_port_with_what_it_kept() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url();
    cluster.kubectl(&["create", "configmap", "kept"]).await;
    cluster.kill9();
    let refused = cluster.ask(ADMIN, "GET", "/readyz").try_send().await;
    assert!(refused.is_err());
    cluster.start_again().await;
    assert_eq!(cluster.url(), url);
    cluster.kubectl(&["get", "configmap", "kept"]).await;
    cluster.freeze();
    cluster.thaw();
    let _ = cluster
        .get("/api/v1/namespaces/default/configmaps/kept")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_watch_from_before_a_compaction_is_told_to_begin_anew() {
    // The API server would answer from its own memory of recent changes.
    let setup = Setup::default().flag("watch-cache", "false");
    let cluster = setup.start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let object = json!({ "metadata": { "name": "kept" } });
    let before = cluster.create(path, &object).await.expect(201).json();
    let before = before["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = format!("{path}?watch=1&timeoutSeconds=3&resourceVersion={before}");
    let change = async |value: &str| {
        let change = json!({ "data": { "key": value } });
        let answer = cluster.merge(&format!("{path}/kept"), &change).await;
        let _ = answer.expect(200);
    };
    change("once").await;
    let seen = cluster.get(&watch).await.expect(200).json();
    assert_eq!(seen["type"], "MODIFIED", "{seen}");
    // The last change is not forgotten, so there must be one behind it.
    change("twice").await;
    let oldest = cluster.compact().await;
    assert!(oldest > before.parse::<i64>().unwrap() + 1);
    let seen = cluster.get(&watch).await;
    let code = if seen.status == 200 {
        seen.json()["object"]["code"].take()
    } else {
        json!(seen.status)
    };
    assert_eq!(code, 410, "{}", seen.text());
}

#[tokio::test]
async fn controllers_empty_a_namespace_and_collect_what_has_no_owner() {
    let cluster = Setup::default().controllers().start().await;
    cluster.kubectl(&["create", "namespace", "shop"]).await;
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owner", "namespace": "shop" } });
    cluster.apply(&owner).await;
    let maps = "/api/v1/namespaces/shop/configmaps";
    let uid = cluster
        .get(&format!("{maps}/owner"))
        .await
        .expect(200)
        .json()["metadata"]["uid"]
        .take();
    let owner = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid }]);
    let owned = json!({ "metadata": { "name": "owned", "ownerReferences": owner } });
    let _ = cluster.create(maps, &owned).await.expect(201);
    let _ = cluster.delete(&format!("{maps}/owner")).await.expect(200);
    until_gone(&cluster, &format!("{maps}/owned")).await;
    let _ = cluster
        .create(maps, &json!({ "metadata": { "name": "other" } }))
        .await
        .expect(201);
    let _ = cluster.delete("/api/v1/namespaces/shop").await.expect(200);
    until_gone(&cluster, "/api/v1/namespaces/shop").await;
    let _ = cluster.get(&format!("{maps}/other")).await.expect(404);
}

async fn until_gone(cluster: &Cluster, path: &str) {
    until_time(
        Duration::from_secs(60),
        format!("{path} to be gone"),
        || async {
            let status = cluster.get(path).await.status;
            (status == 404)
                .then_some(())
                .ok_or(format!("it is answered with {status}"))
        },
    )
    .await;
}

fn channel(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "siar.dev/v1alpha1",
        "kind": "Channel",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "gateway": "public",
            "topics": ["orders"],
            "access": { "subscribe": [{ "anonymous": {} }] },
        },
    })
}

/// The status of a TokenReview.
async fn review(cluster: &Cluster, token: &str, audience: &str) -> Value {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token, "audiences": [audience] },
    });
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    cluster.create(path, &review).await.expect(201).json()["status"].take()
}

/// Whether a service account of `shop` may do that with a Channel of `shop`.
async fn may(cluster: &Cluster, account: &str, verb: &str, channel: &str) -> bool {
    let user = format!("system:serviceaccount:shop:{account}");
    let right = json!({
        "namespace": "shop",
        "verb": verb,
        "group": "siar.dev",
        "resource": "channels",
        "name": channel,
    });
    roles::may(cluster, &user, &right).await
}
