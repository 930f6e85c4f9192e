//! Images are those that the values name.

use super::*;

const APP: &str = env!("CARGO_PKG_VERSION");

/// The images of a release, by the part of the name of their workload.
async fn images(options: &Options) -> Vec<(String, String)> {
    let variant = rendered(options).await;
    let pods = variant.pods();
    let images = pods.iter().flat_map(|(title, pod)| {
        let images = list(&pod["spec"]["containers"]).iter();
        images.map(move |one| (title.clone(), one["image"].as_str().unwrap().to_owned()))
    });
    images.collect()
}

fn of<'a>(images: &'a [(String, String)], title: &str) -> &'a str {
    let found = images.iter().find(|(name, _)| name == title);
    &found.unwrap_or_else(|| panic!("{title}: {images:?}")).1
}

#[tokio::test]
async fn images_are_those_of_this_version_and_a_pinned_redis() {
    let images = images(&Options::default()).await;
    let own = |name: &str| format!("ghcr.io/siar-dev/{name}:{APP}");
    assert_eq!(of(&images, "Deployment/siar-gateway"), own("gateway"));
    assert_eq!(of(&images, "Deployment/siar-operator"), own("operator"));
    let redis = of(&images, "StatefulSet/siar-redis");
    let tag = redis.strip_prefix("docker.io/library/redis:").unwrap();
    assert!(
        tag.starts_with(|c: char| c.is_ascii_digit()) && tag.contains('.'),
        "{tag} moves"
    );
}

#[tokio::test]
async fn images_are_replaced_by_repository_tag_and_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let options = Options::default()
        .set(
            "gateway.image.repository",
            &json!("registry.example.com/gateway"),
        )
        .set("gateway.image.tag", &json!("9.9.9"))
        .set("operator.image.digest", &json!(digest))
        .set(
            "redis.embedded.image.repository",
            &json!("registry.example.com/redis"),
        );
    let images = images(&options).await;
    assert_eq!(
        of(&images, "Deployment/siar-gateway"),
        "registry.example.com/gateway:9.9.9"
    );
    let operator = of(&images, "Deployment/siar-operator");
    assert!(
        operator.starts_with("ghcr.io/siar-dev/operator") && operator.ends_with(&digest),
        "{operator}"
    );
    assert!(of(&images, "StatefulSet/siar-redis").starts_with("registry.example.com/redis:"));
}

#[tokio::test]
async fn the_chart_has_the_version_of_its_programs() {
    let chart = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart = objects(&chart).remove(0);
    assert_eq!(chart["version"], APP);
    assert_eq!(chart["appVersion"], APP);
}
