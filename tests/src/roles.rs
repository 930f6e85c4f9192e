//! Identities that may do what the chart gives to operator and gateway, and nothing else.
//!
//! Owns: filling the files of `charts/siar/files/rbac` in, and binding them to service accounts as the chart does.
//! Never: grants anything that is not in those files. Used by: `operator`, `fleet`, tests of rights.

use crate::cluster::{ADMIN, Cluster};
use crate::wait::until;
use serde_json::{Value, json};
use std::path::Path;

/// What the chart's release is called.
pub const FULLNAME: &str = "siar";
/// Whom a token must be meant for so that the API server takes it.
const AUDIENCE: &str = "https://kubernetes.default.svc";

/// A file of the chart, and one right in it, by which a test knows that the cluster has heard of it.
struct Role {
    file: &'static str,
    scope: Scope,
    right: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Cluster,
    Namespace,
}

/// A kubeconfig identity with the rights of an operator at home in `home` that serves these fleets.
pub async fn operator(cluster: &Cluster, home: &str, fleets: &[&str]) -> String {
    let fill = fill("", fleets);
    let roles = [
        Role {
            file: "operator-cluster",
            scope: Scope::Cluster,
            right: json!({ "verb": "list", "group": "siar.dev", "resource": "channels" }),
        },
        Role {
            file: "operator-home",
            scope: Scope::Namespace,
            right: json!({ "verb": "list", "group": "apps", "resource": "deployments", "namespace": home }),
        },
    ];
    bind(
        cluster,
        home,
        &format!("{FULLNAME}-operator"),
        &fill,
        &roles,
    )
    .await
}

/// A kubeconfig identity with the rights of the gateways of that fleet, reviews included.
pub async fn gateway(cluster: &Cluster, home: &str, fleet: &str) -> String {
    let fill = fill(fleet, &[]);
    let secret = format!("siar-{fleet}");
    let roles = [
        Role {
            file: "gateway",
            scope: Scope::Namespace,
            right: json!({ "verb": "get", "resource": "secrets", "name": secret, "namespace": home }),
        },
        Role {
            file: "gateway-reviews",
            scope: Scope::Cluster,
            right: json!({ "verb": "create", "group": "authentication.k8s.io", "resource": "tokenreviews" }),
        },
    ];
    bind(cluster, home, &account(fleet), &fill, &roles).await
}

/// The service account of the gateways of a fleet.
#[must_use]
pub fn account(fleet: &str) -> String {
    format!("{FULLNAME}-gateway-{fleet}")
}

/// The rules in a file of the chart for a gateway of that fleet, or for an operator of those `fleets`.
#[must_use]
pub fn rules(file: &str, fleet: &str, fleets: &[&str]) -> String {
    filled(file, &fill(fleet, fleets))
}

/// What stands for each expression of the files.
fn fill(fleet: &str, fleets: &[&str]) -> [(&'static str, String); 3] {
    let snapshots: Vec<_> = fleets.iter().map(|fleet| format!("siar-{fleet}")).collect();
    let snapshots = json!(snapshots).to_string();
    [
        ("{{ include \"siar.snapshots\" . }}", snapshots),
        ("{{ include \"siar.fullname\" . }}", FULLNAME.to_owned()),
        ("{{ .Values.gateway.name }}", fleet.to_owned()),
    ]
}

async fn bind(
    cluster: &Cluster,
    home: &str,
    account: &str,
    fill: &[(&str, String)],
    roles: &[Role],
) -> String {
    let token = cluster
        .service_account_token(home, account, &[AUDIENCE])
        .await;
    let identity = format!("{account}.{home}");
    let _ = cluster.kubeconfig_of_token(&identity, &token);
    for role in roles {
        cluster
            .apply_yaml(&manifest(home, account, fill, role))
            .await;
    }
    for role in roles {
        // What the authorizer knows follows what is stored.
        until(format!("{} to count", role.file), || async {
            let user = format!("system:serviceaccount:{home}:{account}");
            let allowed = may(cluster, &user, &role.right).await;
            allowed.then_some(()).ok_or("it does not".into())
        })
        .await;
    }
    identity
}

/// The role that the chart would render, and its binding.
fn manifest(home: &str, account: &str, fill: &[(&str, String)], role: &Role) -> String {
    let rules = filled(role.file, fill);
    let (kind, name, namespace) = match role.scope {
        Scope::Cluster => ("ClusterRole", format!("{account}-{}-{home}", role.file), ""),
        Scope::Namespace => ("Role", format!("{account}-{}", role.file), home),
    };
    let namespace = match namespace {
        "" => String::new(),
        namespace => format!(", namespace: {namespace}"),
    };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: {name}{namespace}}}
{rules}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata: {{name: {name}{namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}
subjects: [{{kind: ServiceAccount, name: {account}, namespace: {home}}}]
"
    )
}

fn filled(file: &str, fill: &[(&str, String)]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/siar/files/rbac");
    let path = folder.join(format!("{file}.yaml"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = fill.iter().fold(text, |text, (expression, value)| {
        text.replace(expression, value)
    });
    assert!(
        !text.contains("{{"),
        "{file} has an expression that is not filled in:\n{text}"
    );
    text
}

/// Whether a user may do that: the attributes of a SubjectAccessReview.
pub async fn may(cluster: &Cluster, user: &str, right: &Value) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": { "user": user, "resourceAttributes": right },
    });
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let answer = cluster.api(ADMIN).create(path, &review).send().await;
    answer.expect(201).json()["status"]["allowed"] == true
}
