//! Values that are right each for itself, and not together: templates refuse them, in whole sentences.

use super::{Case, Set};

/// What contradicts itself, with what to do about it.
pub const CONTRADICTIONS: &[Case] = &[
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
    (
        &[("gateway.serviceAccount.create", "false")],
        &[
            "leaves open who gets the rights of the gateway",
            "gateway.serviceAccount.name",
        ],
    ),
    (
        &[("operator.serviceAccount.create", "false")],
        &[
            "leaves open who gets the rights of the operator",
            "operator.serviceAccount.name",
        ],
    ),
    (
        &[("operator.serviceAccount.name", "\"siar-gateway\"")],
        &[
            "share the service account \"siar-gateway\"",
            "different names",
        ],
    ),
    (
        &[
            ("rbac.create", "false"),
            (
                "gateway.serviceAccount",
                "{\"create\": false, \"name\": \"one\"}",
            ),
            (
                "operator.serviceAccount",
                "{\"create\": false, \"name\": \"one\"}",
            ),
        ],
        &["share the service account \"one\""],
    ),
    (
        &[("gateway.strategy.rollingUpdate.maxSurge", "0")],
        &[
            "gateway.strategy.rollingUpdate",
            "raise maxSurge or maxUnavailable",
        ],
    ),
    (
        &[("operator.strategy.rollingUpdate.maxSurge", "\"0%\"")],
        &[
            "operator.strategy.rollingUpdate",
            "raise maxSurge or maxUnavailable",
        ],
    ),
    (
        &[("gateway.pdb.maxUnavailable", "null")],
        &["gateway.pdb has neither maxUnavailable nor minAvailable"],
    ),
    (
        &[("operator.pdb.maxUnavailable", "null")],
        &["operator.pdb has neither maxUnavailable nor minAvailable"],
    ),
    (
        &[("gateway.service.nodePort", "30080")],
        &["gateway.service.nodePort", "gateway.service.type"],
    ),
    (
        &[("gateway.service.httpsNodePort", "30443")],
        &["gateway.service.httpsNodePort", "gateway.service.type"],
    ),
    (
        &[("gateway.service.externalTrafficPolicy", "\"Local\"")],
        &[
            "gateway.service.externalTrafficPolicy",
            "gateway.service.type",
        ],
    ),
    (
        &[(
            "gateway.ingress",
            "{\"enabled\": true, \"preset\": \"gke\", \"className\": \"gce\"}",
        )],
        &["gateway.ingress.preset=gke", "leave className out"],
    ),
    (
        &[("commonLabels", "{\"siar.dev/gateway\": \"x\"}")],
        &["commonLabels sets siar.dev/gateway", "remove it"],
    ),
    (
        &[("gateway.podLabels", "{\"siar.dev/component\": \"x\"}")],
        &["gateway.podLabels sets siar.dev/component"],
    ),
    (
        &[("operator.podLabels", "{\"siar.dev/gateway\": \"x\"}")],
        &["operator.podLabels sets siar.dev/gateway"],
    ),
    (
        &[("redis.embedded.podLabels", "{\"siar.dev/gateway\": \"x\"}")],
        &["redis.embedded.podLabels sets siar.dev/gateway"],
    ),
    (
        &[("gateway.drain", "\"90m\"")],
        &["gateway.drain is 90m", "at most 1h"],
    ),
    (
        &[("operator.scaleDownAfter", "\"2h\"")],
        &["operator.scaleDownAfter is 2h", "at most 1h"],
    ),
];

/// What looks like a contradiction and is none.
pub const CONSISTENT: &[Set] = &[
    &[(
        "gateway.serviceAccount",
        "{\"create\": false, \"name\": \"events\"}",
    )],
    &[
        ("gateway.enabled", "false"),
        ("operator.fleets", "[\"edge\"]"),
        ("gateway.serviceAccount.create", "false"),
    ],
    &[
        ("rbac.create", "false"),
        ("gateway.serviceAccount.create", "false"),
    ],
    &[(
        "gateway.strategy",
        "{\"type\": \"Recreate\", \"rollingUpdate\": null}",
    )],
    &[(
        "gateway.pdb",
        "{\"maxUnavailable\": null, \"minAvailable\": \"50%\"}",
    )],
    &[(
        "gateway.pdb",
        "{\"enabled\": false, \"maxUnavailable\": null}",
    )],
    &[(
        "gateway.service",
        "{\"type\": \"NodePort\", \"nodePort\": 30080, \"externalTrafficPolicy\": \"Local\"}",
    )],
    &[(
        "gateway.service",
        "{\"type\": \"LoadBalancer\", \"externalTrafficPolicy\": \"Local\"}",
    )],
    &[("gateway.terminationGracePeriodSeconds", "36")],
    &[
        ("gateway.drain", "\"1h\""),
        ("gateway.endpointDelay", "\"0s\""),
    ],
    &[("operator.fleets", "[\"default\"]")],
    &[("redis.embedded.enabled", "false")],
    &[
        ("commonLabels", "{\"team\": \"events\"}"),
        ("gateway.podLabels", "{\"sidecar\": \"no\"}"),
    ],
];
