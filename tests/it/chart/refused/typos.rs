//! Names that nobody knows, and values that cannot be: the schema refuses them.

use super::Case;

/// What the schema refuses: names that nobody knows, values that cannot be.
pub const TYPOS: &[Case] = &[
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
        &["'/redis/url'", "rediss?("],
    ),
    (
        &[("redis.url", "\"redis://a,b\"")],
        &["'/redis/url'", "one host, or a URL that says"],
    ),
    (
        &[("redis.url", "\"redis+sentinel://a,b\"")],
        &["'/redis/url'", "master="],
    ),
    (
        &[("redis.url", "\"redis+cluster://a,b?master=m\"")],
        &["'/redis/url'", "master="],
    ),
    (
        &[("redis.url", "\"redis+cluster://a,b/1\"")],
        &["'/redis/url'", "a URL without database"],
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
