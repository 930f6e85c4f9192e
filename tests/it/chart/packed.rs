//! The chart as people fetch it: the package, what it says of itself, the Kubernetes that it is for.

use super::*;

/// What `Chart.yaml` says.
fn about() -> Value {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    objects(&text).remove(0)
}

#[tokio::test]
async fn a_package_renders_what_its_folder_renders() {
    let folder = tests::process::folder();
    let helm = Helm::offline();
    let [from, to] = [chart(), folder.path().into()].map(|path| path.display().to_string());
    let package = ["package", &from, "--destination", &to];
    helm.run(&package, &Options::default()).await.unwrap();
    let version = about()["version"].as_str().unwrap().to_owned();
    let package = folder.path().join(format!("siar-{version}.tgz"));
    let mut all = files().into_iter();
    let all = all.find(|file| file.ends_with("everything-values.yaml"));
    let options = Options::default().file(&all.unwrap());
    let packed = Helm::offline()
        .chart(&package)
        .template("siar", &options)
        .await;
    let unpacked = helm.template("siar", &options).await;
    assert_eq!(packed.unwrap().output, unpacked.unwrap().output);
}

#[tokio::test]
async fn kubernetes_1_33_and_newer_are_taken_whoever_runs_them() {
    let helm = Helm::offline();
    let version = |version: &str| Options::default().flag("--kube-version").flag(version);
    for taken in [
        "1.33.0",
        "v1.33.4-gke.1036000",
        "v1.34.2-eks-113cf36",
        "v1.36.0+k3s1",
    ] {
        let told = helm.template("siar", &version(taken)).await;
        assert!(told.is_ok(), "{taken}: {told:?}");
    }
    let said = helm.template("siar", &version("1.32.9")).await.unwrap_err();
    assert!(
        said.contains(">=1.33") && said.contains("v1.32.9"),
        "{said}"
    );
}

#[tokio::test]
async fn the_images_that_it_lists_are_those_that_it_renders() {
    let listed = about()["annotations"]["artifacthub.io/images"].clone();
    let listed = objects(listed.as_str().unwrap()).remove(0);
    let listed = list(&listed)
        .iter()
        .map(|one| one["image"].as_str().unwrap());
    let mut listed: Vec<_> = listed.collect();
    listed.sort_unstable();
    let variant = rendered(&Options::default()).await;
    let pods = variant.pods();
    let images = pods
        .iter()
        .flat_map(|(_, pod)| list(&pod["spec"]["containers"]));
    let mut images: Vec<_> = images.map(|one| one["image"].as_str().unwrap()).collect();
    images.sort_unstable();
    images.dedup();
    assert_eq!(listed, images);
}

#[tokio::test]
async fn the_channel_that_it_shows_as_an_example_is_right() {
    let examples = about()["annotations"]["artifacthub.io/crdsExamples"].clone();
    let examples = objects(examples.as_str().unwrap()).remove(0);
    let folder = tests::process::folder();
    assert!(!list(&examples).is_empty());
    for example in list(&examples) {
        let path = folder.path().join("channel.yaml");
        std::fs::write(&path, example.to_string()).unwrap();
        let mut check = std::process::Command::new(tests::gateway::binary("siar-gateway"));
        let output = check.arg("check").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
    }
}
