//! What every variant must have, and must not.
//!
//! Owns: the promises of the chart that hold whatever the values are. Never: looks at one variant alone; the golden
//! files do.

use super::*;
use crds::duration::DurationText;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Where a release lives, and what it is called.
const HOME: &str = "siar";
/// Kinds that belong to no namespace.
const CLUSTER: [&str; 6] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
];
const FACTS: [&str; 7] = [
    "broker",
    "default-namespace",
    "max-replicas",
    "min-replicas",
    "reviews",
    "scaling",
    "url",
];

/// Every variant with its gateway Deployment.
async fn gateways() -> Vec<(&'static Variant, &'static Value)> {
    let gateways: Vec<_> = variants()
        .await
        .iter()
        .filter_map(|variant| {
            let mut deployments = variant.kind("Deployment").into_iter();
            let found = deployments.find(|one| component(one) == "gateway");
            Some((variant, found?))
        })
        .collect();
    assert!(
        gateways.len() >= 15,
        "{} variants have gateways",
        gateways.len()
    );
    gateways
}

fn component(object: &Value) -> &str {
    let component = &object["metadata"]["labels"]["app.kubernetes.io/component"];
    component.as_str().unwrap_or_default()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["initContainers", "containers"];
    kinds.into_iter().flat_map(|kind| list(&pod["spec"][kind]))
}

/// Faults of all variants, each with its name.
async fn faults(look: impl Fn(&Variant) -> Vec<String>) -> Vec<String> {
    let all = variants().await.iter().flat_map(|variant| {
        let found = look(variant).into_iter();
        found.map(|fault| format!("{}: {fault}", variant.name))
    });
    all.collect()
}

#[tokio::test]
async fn the_size_of_a_fleet_is_never_rendered() {
    for (variant, gateway) in gateways().await {
        let name = &variant.name;
        assert!(gateway["spec"].get("replicas").is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_fleet_says_what_an_operator_must_know() {
    for (variant, gateway) in gateways().await {
        let facts = &gateway["metadata"]["annotations"];
        for fact in FACTS {
            let told = facts[format!("siar.dev/{fact}")].as_str();
            assert!(
                told.is_some_and(|told| !told.is_empty()),
                "{}: {fact}",
                variant.name
            );
        }
        let labels = [
            &gateway["metadata"],
            &gateway["spec"]["template"]["metadata"],
        ];
        let fleets = labels.map(|metadata| &metadata["labels"]["siar.dev/gateway"]);
        assert!(
            fleets[0].is_string() && fleets[0] == fleets[1],
            "{}",
            variant.name
        );
        let ports = &gateway["spec"]["template"]["spec"]["containers"][0]["ports"];
        let port = |name: &str| {
            let mut ports = list(ports).iter();
            let found = ports.find(|port| port["name"] == name);
            found.map(|port| port["containerPort"].clone())
        };
        assert_eq!(port("http"), Some(json!(8080)), "{}", variant.name);
        assert_eq!(port("admin"), Some(json!(9090)), "{}", variant.name);
        let tls = variant.values["gateway"]["tls"]["secretName"].is_string();
        assert_eq!(port("https"), tls.then(|| json!(8443)), "{}", variant.name);
    }
}

#[tokio::test]
async fn only_fleets_carry_the_label_of_fleets() {
    let strange = faults(|variant| {
        let others = variant.objects.iter().filter(|object| {
            let labels = [&object["metadata"], &object["spec"]["template"]["metadata"]];
            let marked = labels
                .iter()
                .any(|metadata| metadata["labels"].get("siar.dev/gateway").is_some());
            marked && !(kind(object) == "Deployment" && component(object) == "gateway")
        });
        let told = |object| format!("{} is taken for a fleet", title(object));
        others.map(told).collect()
    });
    none(&strange.await);
}

#[tokio::test]
async fn scope_namespace_renders_no_object_of_the_cluster_and_reviews_nothing() {
    let mut seen = 0;
    for variant in variants().await {
        if variant.values["rbac"]["scope"] != "namespace" {
            continue;
        }
        seen += 1;
        let cluster = variant
            .objects
            .iter()
            .filter(|object| CLUSTER.contains(&kind(object)));
        let cluster: Vec<_> = cluster.map(title).collect();
        assert!(cluster.is_empty(), "{}: {cluster:?}", variant.name);
        for deployment in variant.kind("Deployment") {
            let facts = &deployment["metadata"]["annotations"];
            if component(deployment) == "gateway" {
                assert_eq!(facts["siar.dev/reviews"], "false", "{}", variant.name);
            }
        }
        assert!(!variant.text.contains("tokenreviews"), "{}", variant.name);
    }
    assert!(seen > 0, "no variant has rbac.scope=namespace");
}

#[tokio::test]
async fn objects_of_the_cluster_are_named_for_their_namespace() {
    let faults = faults(|variant| {
        let roles = ["ClusterRole", "ClusterRoleBinding"].map(|kind| variant.kind(kind));
        let roles = roles.concat().into_iter();
        let own = roles.filter(|role| {
            let labels = role["metadata"]["labels"].as_object();
            let aggregated = labels.is_some_and(|labels| {
                let mut names = labels.keys();
                names.any(|name| name.contains("aggregate-to-"))
            });
            let name = role["metadata"]["name"].as_str().unwrap_or_default();
            !aggregated && !name.ends_with(&format!("-{HOME}"))
        });
        let told = |role| format!("{} would meet another release", title(role));
        own.map(told).collect()
    });
    none(&faults.await);
}

#[tokio::test]
async fn pods_run_without_rights_on_their_node_and_with_a_token_only_where_it_is_used() {
    let faults = faults(|variant| {
        let mut faults = Vec::new();
        for (title, pod) in variant.pods() {
            let spec = &pod["spec"];
            let uses = title.ends_with("-gateway") || title.ends_with("-operator");
            if !uses && spec["automountServiceAccountToken"] != false {
                faults.push(format!("{title} has a token"));
            }
            if spec["enableServiceLinks"] != false {
                faults.push(format!("{title} has a variable for each Service"));
            }
            for container in containers(pod) {
                let context = &container["securityContext"];
                if context["readOnlyRootFilesystem"] != true {
                    faults.push(format!("{title}: {} may write", container["name"]));
                }
                let user = &spec["securityContext"]["runAsUser"];
                if context["runAsUser"].is_null() && user.is_null() {
                    faults.push(format!("{title}: {} runs as anybody", container["name"]));
                }
                let resources = &container["resources"]["requests"];
                if !resources["memory"].is_string() && !title.starts_with("Pod/") {
                    faults.push(format!("{title}: {} asks for no memory", container["name"]));
                }
            }
        }
        faults
    });
    none(&faults.await);
}

#[tokio::test]
async fn a_pod_has_longer_than_its_drain_takes() {
    for (variant, gateway) in gateways().await {
        let pod = &gateway["spec"]["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let grace = Duration::from_secs(grace);
        let time = |flag: &str, default: Duration| {
            let told = super::told::flag(&pod["containers"][0], flag);
            told.map_or(default, |told| DurationText::new(&told).read().unwrap())
        };
        let needs = time("--endpoint-delay", SECOND * 5) + time("--drain", SECOND * 30);
        assert!(grace > needs, "{}: {grace:?} for {needs:?}", variant.name);
    }
}

#[tokio::test]
async fn selectors_find_pods_of_their_own_release() {
    let faults = faults(|variant| {
        let pods = variant.pods();
        let mut faults = Vec::new();
        for object in &variant.objects {
            let selector = match kind(object) {
                "Service" => &object["spec"]["selector"],
                "Deployment" | "StatefulSet" | "PodDisruptionBudget" => {
                    &object["spec"]["selector"]["matchLabels"]
                }
                "NetworkPolicy" => &object["spec"]["podSelector"]["matchLabels"],
                _ => continue,
            };
            let wanted = selector.as_object().cloned().unwrap_or_default();
            let fits = |pod: &Value| {
                let labels = &pod["metadata"]["labels"];
                wanted.iter().all(|(name, value)| labels[name] == *value)
            };
            let found = pods.iter().filter(|(_, pod)| fits(pod)).count();
            let own = wanted.get("app.kubernetes.io/instance");
            if found != 1 || own.is_none() {
                faults.push(format!(
                    "{} selects {found} kinds of Pods by {selector}",
                    title(object)
                ));
            }
        }
        faults
    });
    none(&faults.await);
}

#[tokio::test]
async fn every_object_says_whose_it_is() {
    let faults = faults(|variant| {
        let mut faults = Vec::new();
        // Further objects are the user's own.
        let extra = list(&variant.values["extraObjects"]).len();
        let mut unmarked = 0;
        for object in &variant.objects {
            let labels = &object["metadata"]["labels"];
            let right = labels["app.kubernetes.io/name"] == "siar"
                && labels["app.kubernetes.io/instance"] == "siar"
                && labels["app.kubernetes.io/managed-by"] == "Helm"
                && labels["helm.sh/chart"].is_string();
            if !right {
                unmarked += 1;
                faults.push(format!("{} has the labels {labels}", title(object)));
            }
            let namespace = &object["metadata"]["namespace"];
            let cluster = CLUSTER.contains(&kind(object));
            if cluster && !namespace.is_null() {
                faults.push(format!("{} is in {namespace}", title(object)));
            }
        }
        if unmarked <= extra {
            Vec::new()
        } else {
            faults
        }
    });
    none(&faults.await);
}

#[tokio::test]
async fn what_helm_must_not_delete_is_marked() {
    for variant in variants().await {
        let kept = ["CustomResourceDefinition", "Channel"].map(|kind| variant.kind(kind));
        for object in kept.concat() {
            if object["metadata"]["annotations"]
                .get("helm.sh/hook")
                .is_some()
            {
                continue;
            }
            let policy = &object["metadata"]["annotations"]["helm.sh/resource-policy"];
            // With the definition everybody's Channels go, so only that may be asked for.
            let wants = kind(object) == "Channel" || variant.values["crds"]["keep"] != false;
            assert_eq!(
                policy == "keep",
                wants,
                "{}: {}",
                variant.name,
                title(object)
            );
        }
    }
}

#[tokio::test]
async fn passwords_stand_in_no_argument_and_no_variable() {
    let faults = faults(|variant| {
        let mut faults = Vec::new();
        for (title, pod) in variant.pods() {
            for container in containers(pod) {
                let text = format!(
                    "{}{}{}",
                    container["args"], container["command"], container["env"]
                );
                let secret = ["://:", "secretKeyRef", "requirepass", "@redis"];
                let found = secret.iter().filter(|word| text.contains(*word));
                faults.extend(found.map(|word| format!("{title}: {word}: {text}")));
            }
        }
        // What a user adds is the user's.
        faults.retain(|fault| !fault.contains("EXTRA"));
        faults
    });
    none(&faults.await);
}

#[tokio::test]
async fn a_gateway_starts_without_the_secret_that_the_operator_will_write() {
    for (variant, gateway) in gateways().await {
        let name = gateway["metadata"]["labels"]["siar.dev/gateway"]
            .as_str()
            .unwrap();
        let secret = format!("siar-{name}");
        let volumes = list(&gateway["spec"]["template"]["spec"]["volumes"]);
        let volume = volumes
            .iter()
            .find(|volume| volume["secret"]["secretName"] == secret.as_str());
        let volume = volume.unwrap_or_else(|| panic!("{}: {volumes:?}", variant.name));
        assert_eq!(volume["secret"]["optional"], true, "{}", variant.name);
        let container = &gateway["spec"]["template"]["spec"]["containers"][0];
        let file = super::told::flag(container, "--config-file").unwrap();
        let mounts = list(&container["volumeMounts"]);
        let mount = mounts
            .iter()
            .find(|mount| mount["name"] == volume["name"])
            .unwrap();
        assert!(mount.get("subPath").is_none(), "it would never change");
        let folder = mount["mountPath"].as_str().unwrap();
        assert_eq!(
            file,
            format!("{folder}/snapshot.json.gz"),
            "{}",
            variant.name
        );
    }
}
