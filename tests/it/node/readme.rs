//! The installation section of the README, as a new user types it: every line of it, in one shell on the node.

use tests::node::Node;
use tests::process::cache;

/// The section.
const SECTION: &str = "\n## Install on Kubernetes\n";
/// Blocks that need the internet, by how they begin: left out.
const INTERNET: [&str; 1] = ["helm install monitoring kube-prometheus-stack --repo https://"];
/// A new user takes a moment to type the next line; a script waits for what the line before began.
const FORWARDED: &str = "until curl -s -o /dev/null http://127.0.0.1:8080/; do sleep 0.1; done\n";

/// The blocks of shell of the section, those left out apart.
fn blocks() -> (Vec<String>, Vec<String>) {
    let readme = crate::tidy::root().join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let section = readme.split(SECTION).nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
    blocks.partition(|block| !INTERNET.iter().any(|begin| block.starts_with(begin)))
}

/// The same, and after a line that forwards a port the wait.
fn script(blocks: &[String]) -> String {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n".to_owned();
    for line in blocks.iter().flat_map(|block| block.lines()) {
        script += &format!("{line}\n");
        if line.contains(" port-forward ") {
            script += FORWARDED;
        }
    }
    script
}

#[tokio::test]
async fn the_installation_section_of_the_readme_works_word_by_word() {
    let mut node = Node::turn().await;
    node.vacate().await;
    // What kube-prometheus-stack brings, which needs the internet.
    for kind in ["servicemonitors", "prometheusrules"] {
        let file = cache().join(format!("crds/monitoring.coreos.com_{kind}.yaml"));
        let file = file.display().to_string();
        let apply = ["apply", "--server-side", "--filename", &file];
        node.kubectl(&apply).await;
    }
    let (typed, left_out) = blocks();
    assert_eq!(left_out.len(), INTERNET.len(), "{left_out:?}");
    assert!(typed.len() >= 7, "{typed:?}");
    let output = node.try_run(&["bash", "-c", &script(&typed)], "").await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}\n---\n{errors}");
    for expected in [
        "channel.siar.dev/orders condition met",
        "data: two coffees",
        "data: from an app",
        "Phase:          Succeeded",
        "release \"siar\" uninstalled",
        "\"channels.siar.dev\" deleted",
    ] {
        assert!(
            told.contains(expected),
            "no {expected:?} in {told}\n---\n{errors}"
        );
    }
    node.kubectl(&["delete", "namespace", "shop"]).await;
}
