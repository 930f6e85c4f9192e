//! The rights that the chart gives: exactly those that are meant, and no others.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::cluster::{ADMIN, Cluster};
use tests::roles;

/// The rules of an identity in a namespace, each as `verbs of group/resources names`, without those that everybody has.
async fn rules(cluster: &Cluster, identity: &str, namespace: &str) -> BTreeSet<String> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": namespace },
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let answer = cluster
        .api(identity)
        .create(path, &review)
        .send()
        .await
        .expect(201)
        .json();
    let words = |value: &Value| {
        let words = value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(",")
    };
    let rules = answer["status"]["resourceRules"].as_array().unwrap().iter();
    rules
        .map(|rule| {
            let names = words(&rule["resourceNames"]);
            let on = format!(
                "{}/{}",
                words(&rule["apiGroups"]),
                words(&rule["resources"])
            );
            format!("{} {on} {names}", words(&rule["verbs"]))
                .trim_end()
                .to_owned()
        })
        .filter(|rule| !rule.contains("selfsubject"))
        .collect()
}

#[track_caller]
fn check(seen: &BTreeSet<String>, expected: &[&str]) {
    let expected = expected.iter().map(|&rule| rule.to_owned()).collect();
    assert_eq!(*seen, expected);
}

const OPERATOR: [&str; 4] = [
    "list,watch siar.dev/channels",
    "patch siar.dev/channels/status",
    "get,list,watch /secrets",
    "create events.k8s.io/events",
];

#[tokio::test]
async fn an_operator_may_do_what_it_must_and_no_more() {
    let cluster = Cluster::start().await;
    cluster.install_crd().await;
    let operator = roles::operator(&cluster, "siar", &["default", "internal"]).await;
    check(&rules(&cluster, &operator, "shop").await, &OPERATOR);
    let home = [
        "create /secrets",
        "patch /secrets siar-default,siar-internal",
        "list,watch apps/deployments",
        "get,patch apps/deployments/scale",
        "list,watch,patch /pods",
        "create coordination.k8s.io/leases",
        "get,patch coordination.k8s.io/leases siar-operator",
    ];
    check(
        &rules(&cluster, &operator, "siar").await,
        &[&OPERATOR[..], &home].concat(),
    );

    // The same in requests.
    let api = cluster.api(&operator);
    let list = api.get("/apis/siar.dev/v1alpha1/channels").send().await;
    let _ = list.expect(200);
    for (path, status) in [
        ("/api/v1/secrets", 200),
        ("/api/v1/namespaces/siar/pods", 200),
        ("/api/v1/pods", 403),
        ("/api/v1/configmaps", 403),
        ("/api/v1/namespaces/siar/configmaps", 403),
        ("/api/v1/nodes", 403),
        ("/apis/apps/v1/namespaces/shop/deployments", 403),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            403,
        ),
    ] {
        let answer = api.get(path).send().await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    let change = json!({ "metadata": { "annotations": { "a": "b" } } });
    for (path, status) in [
        // What may be changed is looked for, and is not there.
        ("/api/v1/namespaces/siar/pods/any", 404),
        ("/api/v1/namespaces/siar/secrets/siar-default", 404),
        ("/api/v1/namespaces/siar/secrets/another", 403),
        ("/api/v1/namespaces/shop/secrets/siar-default", 403),
        ("/api/v1/namespaces/shop/pods/any", 403),
        (
            "/apis/siar.dev/v1alpha1/namespaces/shop/channels/orders",
            403,
        ),
        (
            "/apis/siar.dev/v1alpha1/namespaces/shop/channels/orders/status",
            404,
        ),
        (
            "/apis/apps/v1/namespaces/siar/deployments/siar-gateway",
            403,
        ),
        (
            "/apis/apps/v1/namespaces/siar/deployments/siar-gateway/scale",
            404,
        ),
    ] {
        let answer = api.merge(path, &change).send().await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_operator_publishes_by_a_first_apply_and_holds_only_its_lease() {
    let cluster = Cluster::start().await;
    let operator = roles::operator(&cluster, "siar", &["default"]).await;
    let secret = |name: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "siar.dev/snapshot",
            "metadata": { "name": name, "namespace": "siar" },
        })
    };
    let apply = ["apply", "--server-side", "--filename=-"];
    let input = secret("siar-default").to_string();
    for _ in 0..2 {
        cluster.kubectl_as(&operator, &apply, &input).await.unwrap();
    }
    let input = secret("another").to_string();
    let refused = cluster
        .kubectl_as(&operator, &apply, &input)
        .await
        .unwrap_err();
    assert!(
        refused.contains("cannot patch resource \"secrets\""),
        "{refused}"
    );
    let can = async |verb: &str, what: &str| {
        let arguments = ["auth", "can-i", verb, what, "--namespace=siar"];
        cluster.kubectl_as(&operator, &arguments, "").await.is_ok()
    };
    assert!(can("patch", "leases/siar-operator").await);
    assert!(!can("patch", "leases/another").await);
    assert!(!can("delete", "secrets/siar-default").await);
    assert!(!can("delete", "pods").await);
}

#[tokio::test]
async fn a_gateway_reads_its_secret_and_asks_for_reviews() {
    let cluster = Cluster::start().await;
    let gateway = roles::gateway(&cluster, "siar", "default").await;
    let reviews = [
        "create authentication.k8s.io/tokenreviews",
        "create authorization.k8s.io/subjectaccessreviews",
    ];
    check(&rules(&cluster, &gateway, "shop").await, &reviews);
    let secret = ["get,list,watch /secrets siar-default"];
    check(
        &rules(&cluster, &gateway, "siar").await,
        &[&reviews[..], &secret].concat(),
    );
    let api = cluster.api(&gateway);
    let secrets = "/api/v1/namespaces/siar/secrets";
    for (path, status) in [
        // One Secret is watched by a list of those with its name.
        (
            format!("{secrets}?fieldSelector=metadata.name%3Dsiar-default"),
            200,
        ),
        (format!("{secrets}/siar-default"), 404),
        (format!("{secrets}/siar-internal"), 403),
        (
            format!("{secrets}?fieldSelector=metadata.name%3Dsiar-internal"),
            403,
        ),
        (secrets.to_owned(), 403),
    ] {
        let answer = api.get(&path).send().await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    let _ = cluster.api(ADMIN).get(secrets).send().await.expect(200);
}
