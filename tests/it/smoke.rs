//! `siar-gateway smoke`: three lines for a gateway that does its job, and one sentence for each way in which it does not.

use crate::{Channel, Gateway, GatewaySetup};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream::unfold;
use serde_json::json;
use std::net::SocketAddr;
use tests::gateway::binary;
use tests::manifest::secret;
use tests::process::free_port;
use tests::scripted::{Reply, Scripted};
use tokio::process::Command;
use tokio::sync::watch;

/// Exit code, standard output and standard error of `smoke` with these arguments.
async fn smoke(address: SocketAddr, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("siar-gateway"));
    command.args(["smoke", &format!("http://{address}")]);
    let output = command.args(arguments).kill_on_drop(true).output();
    let output = output.await.expect("the gateway is built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What it printed when all went well.
#[track_caller]
fn seen((code, out, error): (Option<i32>, String, String)) -> String {
    assert_eq!((code, error.as_str()), (Some(0), ""), "{out}");
    out
}

/// It said one sentence with this in it, and failed.
#[track_caller]
fn check_failed((code, out, error): (Option<i32>, String, String), part: &str) {
    assert_eq!((code, out.as_str()), (Some(1), ""), "{error}");
    assert!(error.contains(part), "{error:?} lacks {part:?}");
    assert!(
        error.ends_with(".\n") && error.lines().count() == 1,
        "{error:?}"
    );
}

#[tokio::test]
async fn a_gateway_that_does_its_job_is_told_in_three_lines() {
    let gateway = Gateway::serving(&Channel::open("orders").history(10)).await;
    let out = seen(smoke(gateway.public(), &["--channel", "orders"]).await);
    let lines: Vec<&str> = out.lines().collect();
    let [published, received, resumed] = &lines[..] else {
        panic!("{out}");
    };
    assert!(published.starts_with("published to \"orders\" at ") && published.ends_with("-1"));
    assert!(received.starts_with("received it after "), "{out}");
    assert!(resumed.starts_with("resumed after it"), "{out}");
    // What it published is there, and no stream of its own is left.
    gateway.until_metric("siar_streams", &[], 0.0).await;
    let kept = gateway.get("/history?channel=orders").await.json();
    assert_eq!(kept["messages"].as_array().map(Vec::len), Some(2), "{kept}");
}

#[tokio::test]
async fn a_channel_elsewhere_is_tried_with_its_namespace_and_a_token() {
    let keys = secret("keys", &[("app", "token-of-the-app")]);
    let channel = Channel::closed("c").history(10).namespace("shop");
    let channel = channel
        .tokens("subscribe", "keys")
        .tokens("publish", "keys");
    let mut keys = keys;
    keys["metadata"]["namespace"] = json!("shop");
    let setup = GatewaySetup::new().file("c", vec![channel.manifest(), keys]);
    let gateway = setup.start().await;
    let there = ["--channel", "c", "--namespace", "shop"];
    let with = |token: &'static str| [&there[..], &["--token", token]].concat();
    seen(smoke(gateway.public(), &with("token-of-the-app")).await);
    let file = tests::process::folder();
    let path = file.path().join("token");
    std::fs::write(&path, "token-of-the-app\n").unwrap();
    let from_file = [&there[..], &["--token-file", path.to_str().unwrap()]].concat();
    seen(smoke(gateway.public(), &from_file).await);

    check_failed(smoke(gateway.public(), &there).await, "401, no-token");
    let wrong = smoke(gateway.public(), &with("hunter2")).await;
    assert!(!wrong.2.contains("hunter2"), "{}", wrong.2);
    check_failed(wrong, "let us listen to \"c\": ");
    check_failed(smoke(gateway.public(), &with("a\nb")).await, "no header");
    let nowhere = [&there[..], &["--token-file", "/nowhere"]].concat();
    check_failed(smoke(gateway.public(), &nowhere).await, "/nowhere");
}

#[tokio::test]
async fn who_may_listen_but_not_publish_is_told_so() {
    let everybody = json!({ "subscribe": [{ "anonymous": {} }] });
    let channel = Channel::closed("c").with("access", everybody);
    let gateway = Gateway::serving(&channel).await;
    let failed = smoke(gateway.public(), &["--channel", "c"]).await;
    check_failed(failed, "let us publish to \"c\": ");
}

#[tokio::test]
async fn without_history_resuming_fails_and_the_mend_is_told() {
    let gateway = Gateway::serving(&Channel::open("live")).await;
    let failed = smoke(gateway.public(), &["--channel", "live"]).await;
    check_failed(failed, "told a loss (too-old); resuming needs spec.history");
}

#[tokio::test]
async fn an_unknown_channel_is_waited_for_as_long_as_told() {
    let gateway = Gateway::serving(&Channel::open("a")).await;
    let unknown = smoke(gateway.public(), &["--channel", "late"]).await;
    check_failed(unknown, "404, unknown-topic");
    let waiting = smoke(gateway.public(), &["--channel", "late", "--wait", "1m"]);
    let applied = async {
        gateway.until_metric("siar_refusals_total", &[], 2.0).await;
        gateway.apply(&Channel::open("late").history(10)).await;
    };
    let (waited, ()) = tokio::join!(waiting, applied);
    assert_eq!(seen(waited).lines().count(), 3);
}

#[tokio::test]
async fn without_a_channel_only_a_gateway_is_looked_for() {
    let gateway = GatewaySetup::new().start().await;
    let out = seen(smoke(gateway.public(), &[]).await);
    assert!(
        out.starts_with("a gateway answers at http://127.0.0.1"),
        "{out}"
    );
    let anything = Gateway::serving(&Channel::open("any").topics(&["{any}"])).await;
    seen(smoke(anything.public(), &[]).await);

    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    check_failed(smoke(nobody, &[]).await, "Nothing answers at ");
    let page = Scripted::start("127.0.0.1", |_| Reply::page()).await;
    let page = smoke(page.address(), &[]).await;
    check_failed(
        page,
        "is no gateway of Siar, or something stands before it: it said 200 <!doctype",
    );
    let other = Scripted::start("127.0.0.1", |_| Reply::status(502)).await;
    let other = smoke(other.address(), &["--channel", "c"]).await;
    check_failed(other, "it said 502.");
}

/// A server that keeps to the letter of the requests and not to what they mean.
#[derive(Clone)]
struct Broken {
    published: watch::Sender<Vec<String>>,
    /// What each stream says after its opening, with all that was published when something was.
    stream: fn(&[String], resumed: bool) -> String,
}

impl Broken {
    async fn start(stream: fn(&[String], resumed: bool) -> String) -> SocketAddr {
        let broken = Self {
            published: watch::Sender::default(),
            stream,
        };
        let router = Router::new()
            .route("/stream", get(listen))
            .route("/publish", post(publish))
            .with_state(broken);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

async fn publish(State(broken): State<Broken>, body: String) -> Json<serde_json::Value> {
    broken.published.send_modify(|all| all.push(body));
    Json(json!({ "channel": "c", "id": "a-1", "position": "a-1" }))
}

async fn listen(State(broken): State<Broken>, headers: HeaderMap) -> Response {
    let resumed = headers.contains_key("last-event-id");
    let said = unfold(0, move |turn| {
        let broken = broken.clone();
        async move {
            let text = match turn {
                0 => "id: a-0\n\n".to_owned(),
                1 => {
                    let mut published = broken.published.subscribe();
                    let some = published.wait_for(|all| !all.is_empty()).await;
                    (broken.stream)(&some.unwrap(), resumed)
                }
                // Others publish, too, which must not keep anybody waiting.
                _ => {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    "data: of somebody else\n\n".to_owned()
                }
            };
            Some((Ok::<_, std::convert::Infallible>(text), turn + 1))
        }
    });
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(said),
    )
        .into_response()
}

#[tokio::test]
async fn what_is_delivered_again_is_noticed() {
    let all = |published: &[String], _resumed: bool| -> String {
        let event = |data: &String| format!("data: {data}\nid: a-1\n\n");
        published.iter().map(event).collect()
    };
    let address = Broken::start(all).await;
    check_failed(smoke(address, &["--channel", "c"]).await, "delivered again");
}

#[tokio::test]
async fn a_stream_that_ends_or_never_brings_it_is_told() {
    let end = |_: &[String], _| "event: siar.end\ndata: {\"reason\":\"draining\"}\n\n".to_owned();
    let address = Broken::start(end).await;
    check_failed(
        smoke(address, &["--channel", "c"]).await,
        "ended (draining)",
    );
    let other = |_: &[String], _| "data: of somebody else\n\n".to_owned();
    let address = Broken::start(other).await;
    let without = smoke(address, &["--channel", "c"]).await;
    check_failed(
        without,
        "What was to come on the stream of \"c\" did not within 10 s",
    );
}
