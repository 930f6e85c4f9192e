//! The rights of the chart are those that the harness gives to operator and gateway, which the audit log has proven: no
//! fewer, no more, and bound to the accounts of the release.

use super::*;
use std::collections::BTreeSet;
use tests::roles;

/// One rule as `verbs on groups/resources names`, in a fixed order.
fn rule(rule: &Value) -> String {
    let words = |field: &str| {
        let words = list(&rule[field]).iter().filter_map(Value::as_str);
        let words: BTreeSet<_> = words.collect();
        words.into_iter().collect::<Vec<_>>().join(",")
    };
    let (verbs, groups, resources) = (words("verbs"), words("apiGroups"), words("resources"));
    format!("{verbs} on {groups}/{resources} {}", words("resourceNames"))
}

fn rules(role: &Value) -> BTreeSet<String> {
    list(&role["rules"]).iter().map(rule).collect()
}

/// What an account may do by the rendered roles that are bound to it, in the cluster and at home.
fn granted(variant: &Variant, account: &str) -> [BTreeSet<String>; 2] {
    ["ClusterRole", "Role"].map(|kind| {
        let mut granted = BTreeSet::new();
        for binding in variant.kind(&format!("{kind}Binding")) {
            let is_it = |subject: &Value| subject["name"] == account;
            if !list(&binding["subjects"]).iter().any(is_it) {
                continue;
            }
            assert_eq!(list(&binding["subjects"]).len(), 1, "{binding}");
            assert_eq!(binding["subjects"][0]["kind"], "ServiceAccount");
            assert_eq!(binding["subjects"][0]["namespace"], "siar", "{binding}");
            assert_eq!(binding["roleRef"]["kind"], kind, "{binding}");
            let name = binding["roleRef"]["name"].as_str().unwrap();
            let role = variant.object(kind, name);
            granted.extend(rules(role.unwrap_or_else(|| panic!("no {kind} {name}"))));
        }
        granted
    })
}

/// What the harness grants by those files.
fn filled(fleet: &str, fleets: &[&str], files: &[&str]) -> BTreeSet<String> {
    let files = files.iter().map(|file| {
        let text = roles::rules(file, fleet, fleets);
        rules(&objects(&text).remove(0))
    });
    files.flatten().collect()
}

fn scope(scope: &str) -> Options {
    Options::default().set("rbac.scope", &json!(scope))
}

#[tokio::test]
async fn in_scope_cluster_both_have_what_the_harness_gives_them() {
    let variant = rendered(&scope("cluster")).await;
    let operator = granted(&variant, "siar-operator");
    let files = |files: &[&str]| filled("default", &["default"], files);
    assert_eq!(operator[0], files(&["operator-cluster"]));
    assert_eq!(operator[1], files(&["operator-home"]));
    let gateway = granted(&variant, "siar-gateway");
    assert_eq!(gateway[0], files(&["gateway-reviews"]));
    assert_eq!(gateway[1], files(&["gateway"]));
}

#[tokio::test]
async fn in_scope_namespace_both_have_the_same_at_home_and_nothing_elsewhere() {
    let variant = rendered(&scope("namespace")).await;
    let operator = granted(&variant, "siar-operator");
    let files = |files: &[&str]| filled("default", &["default"], files);
    assert_eq!(operator[0], BTreeSet::new());
    assert_eq!(operator[1], files(&["operator-cluster", "operator-home"]));
    let gateway = granted(&variant, "siar-gateway");
    assert_eq!(gateway[0], BTreeSet::new());
    assert_eq!(gateway[1], files(&["gateway"]));
}

#[tokio::test]
async fn without_reviews_a_gateway_asks_nobody() {
    let options = Options::default().set("gateway.reviews", &json!(false));
    let variant = rendered(&options).await;
    let gateway = granted(&variant, "siar-gateway");
    assert_eq!(gateway[0], BTreeSet::new());
    assert_eq!(gateway[1], filled("default", &[], &["gateway"]));
}

#[tokio::test]
async fn an_operator_may_publish_to_its_own_fleet_and_to_those_it_is_told_of() {
    let options = Options::default()
        .set("gateway.name", &json!("edge"))
        .set("operator.fleets", &json!(["internal", "public"]));
    let variant = rendered(&options).await;
    let operator = granted(&variant, "siar-operator");
    let fleets = ["edge", "internal", "public"];
    assert_eq!(operator[1], filled("edge", &fleets, &["operator-home"]));
    let gateway = granted(&variant, "siar-gateway");
    assert_eq!(gateway[1], filled("edge", &[], &["gateway"]));
}

#[tokio::test]
async fn a_further_fleet_has_no_rights_but_its_own() {
    let options = Options::default()
        .set("gateway.name", &json!("edge"))
        .set("operator.enabled", &json!(false));
    let variant = rendered(&options).await;
    let accounts = variant.kind("ServiceAccount").into_iter().map(title);
    let accounts: Vec<_> = accounts.filter(|name| name.contains("operator")).collect();
    assert!(accounts.is_empty(), "{accounts:?}");
    let roles = ["Role", "ClusterRole"].map(|kind| variant.kind(kind));
    let roles: Vec<_> = roles.concat().into_iter().map(title).collect();
    assert_eq!(roles.len(), 2, "the Secret and the reviews: {roles:?}");
    let gateway = granted(&variant, "siar-gateway");
    assert_eq!(gateway[1], filled("edge", &[], &["gateway"]));
}

#[tokio::test]
async fn without_rbac_create_nothing_is_granted() {
    let options = Options::default().set("rbac.create", &json!(false));
    let variant = rendered(&options).await;
    for kind in ["Role", "RoleBinding", "ClusterRoleBinding"] {
        let found: Vec<_> = variant.kind(kind).into_iter().map(title).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn who_writes_a_channel_uses_the_secrets_beside_it_so_view_may_only_read() {
    let variant = rendered(&Options::default()).await;
    let aggregated = |to: &str| {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
        let roles = variant.kind("ClusterRole").into_iter();
        let roles = roles.filter(|role| role["metadata"]["labels"][&label] == "true");
        let rules = roles.flat_map(|role| list(&role["rules"]));
        let about = rules.filter(|rule| list(&rule["resources"]).contains(&json!("channels")));
        let verbs = about.flat_map(|rule| list(&rule["verbs"]));
        verbs
            .map(|verb| verb.as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    let read = ["get", "list", "watch"].map(String::from);
    assert_eq!(aggregated("view"), read.clone().into());
    for role in ["edit", "admin"] {
        let verbs = aggregated(role);
        for verb in ["create", "delete", "patch", "update"] {
            assert!(verbs.contains(verb), "{role}: {verbs:?}");
        }
    }
    // What the admin of a namespace may not be taken to have, to give it to an operator there.
    let lent = variant
        .object("ClusterRole", "channels.siar.dev-admin")
        .unwrap();
    let lent = rules(lent);
    let lent: Vec<_> = lent.iter().map(|rule| rule.trim_end()).collect();
    let expected = [
        "create on events.k8s.io/events",
        "patch on siar.dev/channels/status",
    ];
    assert_eq!(lent, expected);
    let options = Options::default().set("rbac.aggregate", &json!(false));
    let bare = rendered(&options).await;
    let roles: Vec<_> = bare.kind("ClusterRole").into_iter().map(title).collect();
    assert_eq!(roles.len(), 2, "{roles:?}");
}
