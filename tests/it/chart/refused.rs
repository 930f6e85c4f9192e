//! Typos and contradictions, and what is said of them: where it is, and what may stand there.

use super::*;
use contradictions::{CONSISTENT, CONTRADICTIONS};
use typos::TYPOS;

mod contradictions;
mod typos;

/// Paths and their values, as JSON.
type Set = &'static [(&'static str, &'static str)];
/// What is set, and what a person must find in the answer.
type Case = (Set, &'static [&'static str]);

fn given(set: Set) -> Options {
    set.iter()
        .fold(Options::default(), |options, (path, value)| {
            options.set(path, &serde_json::from_str(value).unwrap())
        })
}

/// What is wrong with the answer to a case.
async fn fault(helm: &Helm, (set, words): &Case) -> Option<String> {
    let said = match helm.template("siar", &given(set)).await {
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
    for case in TYPOS.iter().chain(CONTRADICTIONS) {
        faults.extend(fault(&helm, case).await);
    }
    none(&faults);
}

#[tokio::test]
async fn what_only_looks_like_a_contradiction_is_taken() {
    let helm = Helm::offline();
    for set in CONSISTENT {
        let told = helm.template("siar", &given(set)).await;
        assert!(told.is_ok(), "{set:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_release_whose_name_no_service_may_have_is_refused() {
    let (helm, options) = (Helm::offline(), Options::default());
    for name in ["my.siar", "1siar"] {
        let said = helm.template(name, &options).await.unwrap_err();
        assert!(said.contains("set fullnameOverride"), "{name}: {said}");
        let named = options.clone().set("fullnameOverride", &json!("events"));
        assert!(helm.template(name, &named).await.is_ok(), "{name}");
    }
    assert!(helm.template("my", &options).await.is_ok());
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
