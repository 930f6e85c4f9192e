//! Typos and contradictions, and what is said of them: where it is, and what may stand there.

use super::*;

/// What is set, and what a person must find in the answer.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

/// What the schema refuses: names that nobody knows, values that cannot be.
const TYPOS: [Case; 40] = [
    (&[("gatway", "{}")], &["'gatway' not allowed"]),
    (
        &[("gateway.nmae", "\"a\"")],
        &["'/gateway'", "'nmae' not allowed"],
    ),
    (
        &[("gateway.scaling.min", "1")],
        &["'/gateway/scaling'", "'min' not allowed"],
    ),
    (
        &[("gateway.ingress.host", "\"a\"")],
        &["'/gateway/ingress'", "'host' not allowed"],
    ),
    (
        &[("gateway.tls.secret", "\"a\"")],
        &["'/gateway/tls'", "'secret' not allowed"],
    ),
    (
        &[("gateway.image.name", "\"a\"")],
        &["'/gateway/image'", "'name' not allowed"],
    ),
    (
        &[("gateway.probes.live", "{}")],
        &["'/gateway/probes'", "'live' not allowed"],
    ),
    (
        &[("operator.replica", "3")],
        &["'/operator'", "'replica' not allowed"],
    ),
    (
        &[("redis.embeded", "{}")],
        &["'/redis'", "'embeded' not allowed"],
    ),
    (
        &[("redis.embedded.persistance", "{}")],
        &["'/redis/embedded'", "'persistance' not allowed"],
    ),
    (
        &[("networkPolicy.enable", "true")],
        &["'/networkPolicy'", "'enable' not allowed"],
    ),
    (
        &[("monitoring.servicemonitor", "{}")],
        &["'/monitoring'", "'servicemonitor' not allowed"],
    ),
    (
        &[("crds.install", "true")],
        &["'/crds'", "'install' not allowed"],
    ),
    (
        &[("gateway.name", "\"Default\"")],
        &["'/gateway/name'", "'Default'"],
    ),
    (
        &[("gateway.scaling.mode", "\"auto\"")],
        &[
            "'/gateway/scaling/mode'",
            "'operator', 'hpa', 'keda', 'none'",
        ],
    ),
    (
        &[("gateway.scaling.minReplicas", "0")],
        &["'/gateway/scaling/minReplicas'", "want 1"],
    ),
    (
        &[("gateway.scaling.minReplicas", "\"2\"")],
        &["'/gateway/scaling/minReplicas'", "want integer"],
    ),
    (
        &[("gateway.drain", "\"30\"")],
        &["'/gateway/drain'", "'30'"],
    ),
    (
        &[("gateway.drain", "30")],
        &["'/gateway/drain'", "got number, want string"],
    ),
    (
        &[("gateway.endpointDelay", "\"5 s\"")],
        &["'/gateway/endpointDelay'", "'5 s'"],
    ),
    (
        &[("gateway.workers", "0")],
        &["'/gateway/workers'", "want 1"],
    ),
    (
        &[("gateway.logFormat", "\"xml\"")],
        &["'/gateway/logFormat'", "'json', 'text'"],
    ),
    (
        &[("gateway.publicUrl", "\"events.example.com\"")],
        &["'/gateway/publicUrl'", "https?://"],
    ),
    (
        &[("gateway.trustedProxies", "[\"10.0.0.0/8,11.0.0.0/8\"]")],
        &["'/gateway/trustedProxies/0'"],
    ),
    (
        &[("gateway.trustedProxies", "\"10.0.0.0/8\"")],
        &["'/gateway/trustedProxies'", "want array"],
    ),
    (
        &[("gateway.allowTargets", "[\"a,b\"]")],
        &["'/gateway/allowTargets/0'", "'a,b'"],
    ),
    (
        &[("gateway.podLabels", "{\"a\": 1}")],
        &["'/gateway/podLabels/a'", "got number, want string"],
    ),
    (
        &[("gateway.extraArgs", "[\"drain\"]")],
        &["'/gateway/extraArgs/0'", "'drain'"],
    ),
    (
        &[("gateway.image.digest", "\"sha256:abc\"")],
        &["'/gateway/image/digest'", "sha256:"],
    ),
    (
        &[("gateway.image.pullPolicy", "\"always\"")],
        &[
            "'/gateway/image/pullPolicy'",
            "'Always', 'IfNotPresent', 'Never'",
        ],
    ),
    (
        &[("gateway.service.type", "\"Nodeport\"")],
        &["'/gateway/service/type'", "'NodePort'"],
    ),
    (
        &[("gateway.ingress.preset", "\"ngnix\"")],
        &["'/gateway/ingress/preset'", "'nginx'"],
    ),
    (
        &[("gateway.ingress.hosts", "[\"https://a\"]")],
        &["'/gateway/ingress/hosts/0'", "'https://a'"],
    ),
    (
        &[("rbac.scope", "\"namespaced\"")],
        &["'/rbac/scope'", "'cluster', 'namespace'"],
    ),
    (
        &[("operator.replicas", "0")],
        &["'/operator/replicas'", "want 1"],
    ),
    (
        &[("redis.url", "\"http://redis\"")],
        &["'/redis/url'", "rediss?://"],
    ),
    (
        &[("networkPolicy.metricsFrom", "[\"monitoring\"]")],
        &["'/networkPolicy/metricsFrom/0'", "want object"],
    ),
    (
        &[("monitoring.serviceMonitor.interval", "15")],
        &["'/monitoring/serviceMonitor/interval'", "want string"],
    ),
    (
        &[("fullnameOverride", "\"Siar\"")],
        &["'/fullnameOverride'", "'Siar'"],
    ),
    (
        &[("channels.orders", "{}")],
        &["'/channels/orders'", "missing property 'spec'"],
    ),
];

/// What contradicts itself, with what to do about it.
const CONTRADICTIONS: [Case; 14] = [
    (
        &[("rbac.scope", "\"namespace\""), ("crds.enabled", "true")],
        &["crds"],
    ),
    (
        &[
            ("rbac.scope", "\"namespace\""),
            ("gateway.defaultNamespace", "\"shop\""),
        ],
        &[
            "rbac.scope=namespace",
            "\"siar\" only",
            "leave gateway.defaultNamespace out",
        ],
    ),
    (
        &[
            ("rbac.scope", "\"namespace\""),
            ("channels.orders", "{\"namespace\": \"shop\", \"spec\": {}}"),
        ],
        &["rbac.scope=namespace", "remove channels.orders.namespace"],
    ),
    (
        &[("redis.url", "\"redis://ana:s3cret@redis:6379\"")],
        &["redis.existingSecret", "user or password"],
    ),
    (
        &[("redis.existingSecret", "\"redis\"")],
        &["redis.existingSecret", "redis.url"],
    ),
    (
        &[("redis.embedded.resources.limits.memory", "\"1.5Gi\"")],
        &["\"1.5Gi\"", "redis.embedded.maxmemory"],
    ),
    (
        &[("gateway.scaling.minReplicas", "30")],
        &["minReplicas is 30 and maxReplicas 20", "raise maxReplicas"],
    ),
    (
        &[
            ("gateway.scaling.mode", "\"hpa\""),
            ("redis.embedded.enabled", "false"),
        ],
        &["gateway.scaling.mode=hpa needs a Redis", "set redis.url"],
    ),
    (
        &[("gateway.scaling.mode", "\"keda\"")],
        &["set gateway.scaling.keda.serverAddress"],
    ),
    (
        &[("gateway.httpRoute.enabled", "true")],
        &["set gateway.httpRoute.parentRefs"],
    ),
    (
        &[("gateway.enabled", "false")],
        &["serves no fleet", "operator.fleets"],
    ),
    (
        &[
            ("monitoring.serviceMonitor.enabled", "true"),
            ("monitoring.podMonitor.enabled", "true"),
        ],
        &["scraped twice", "enable one of them"],
    ),
    (
        &[("gateway.terminationGracePeriodSeconds", "20")],
        &["gateway.terminationGracePeriodSeconds", "drain"],
    ),
    (
        &[("operator.scaleDownEvery", "\"0s\"")],
        &["operator.scaleDownEvery"],
    ),
];

/// What is wrong with the answer to a case.
async fn fault(helm: &Helm, (set, words): &Case) -> Option<String> {
    let options = set
        .iter()
        .fold(Options::default(), |options, (path, value)| {
            options.set(path, &serde_json::from_str(value).unwrap())
        });
    let said = match helm.template("siar", &options).await {
        Ok(_) => return Some(format!("{set:?} is taken")),
        Err(said) => said,
    };
    let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
    if said.contains("s3cret") {
        return Some(format!("{set:?}: it repeats the password: {said}"));
    }
    (!missing.is_empty()).then(|| format!("{set:?}: {missing:?} is not in: {said}"))
}

#[tokio::test]
async fn typos_and_contradictions_are_refused_with_the_place_and_the_mend() {
    let (helm, mut faults) = (Helm::offline(), Vec::new());
    for case in TYPOS.iter().chain(&CONTRADICTIONS) {
        faults.extend(fault(&helm, case).await);
    }
    none(&faults);
}

#[tokio::test]
async fn the_template_says_what_to_do_where_the_schema_is_switched_off() {
    let options = Options::default()
        .set("rbac.scope", &json!("namespace"))
        .set("crds.enabled", &json!(true))
        .flag("--skip-schema-validation");
    let said = Helm::offline()
        .template("siar", &options)
        .await
        .unwrap_err();
    assert!(
        said.contains("let a cluster admin install the CRD"),
        "{said}"
    );
}

#[tokio::test]
async fn two_values_that_are_wrong_are_both_named() {
    let options = Options::default()
        .set("gateway.nmae", &json!("a"))
        .set("operator.replicas", &json!(0));
    let said = Helm::offline()
        .template("siar", &options)
        .await
        .unwrap_err();
    assert!(
        said.contains("'nmae'") && said.contains("'/operator/replicas'"),
        "{said}"
    );
}
