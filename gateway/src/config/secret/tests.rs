//! The Secret on an API server that misbehaves as no real one can be made to, with a clock that is moved by hand.

use super::*;
use crate::fixtures::{open, snapshot};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Frame;
use k8s_openapi::ByteString;
use kube::client::Body;
use prometheus::Registry;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::time::timeout;
use tower_test::mock::{self, Handle, SendResponse};

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A Snapshot of format 2, packed.
const NEWER: &str =
    "H4sIAAAAAAACA6tWSssvyk0sUbIy0lEqSi3LLM7Mz1OyUqpQ0lFKzkjMy0vNKVayio6tBQCl8NcfKQAAAA==";

/// The source, and the API server that it asks.
struct Scene {
    secret: Secret,
    server: Handle<Request<Body>, Reply>,
    metrics: Arc<Metrics>,
}

impl Scene {
    fn new(file: Option<PathBuf>) -> Self {
        let (service, server) = mock::pair();
        let metrics = Metrics::new(&Registry::new(), "default").unwrap();
        let settings = SecretSettings {
            namespace: "siar".to_owned(),
            name: "siar-default".to_owned(),
            file,
        };
        let client = Client::new(service, "default");
        Self {
            secret: Secret::with_client(client, settings, metrics.clone()),
            server,
            metrics,
        }
    }

    fn rejected(&self) -> u64 {
        let rejected = self.metrics.config_applies.with_label_values(&["rejected"]);
        rejected.get()
    }

    /// Follows the source while the API server replies to one request after the other. Whatever is not replied to
    /// hangs. Answers the first Snapshot within that time, and what was asked.
    async fn run(
        &mut self,
        time: Duration,
        replies: Vec<Reply>,
    ) -> (Option<Arc<Snapshot>>, Vec<String>) {
        let mut replies = replies.into_iter();
        let mut asked = Vec::new();
        let mut hanging: Vec<SendResponse<Reply>> = Vec::new();
        let server = async {
            while let Some((request, answer)) = self.server.next_request().await {
                asked.push(request.uri().to_string());
                match replies.next() {
                    Some(reply) => answer.send_response(reply),
                    None => hanging.push(answer),
                }
            }
        };
        let first = timeout(time, self.secret.next());
        let found = tokio::select! {
            found = first => found.ok(),
            () = server => None,
        };
        (found, asked)
    }
}

fn reply(status: u16, body: &Value) -> Reply {
    lines(status, std::slice::from_ref(body), false)
}

/// Lines of a body, which goes on for ever if it is `open`.
fn lines(status: u16, lines: &[Value], open: bool) -> Reply {
    let frames: Vec<_> = lines
        .iter()
        .map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))))
        .collect();
    let rest = stream::pending().take(usize::from(open));
    let body = StreamBody::new(stream::iter(frames).chain(rest));
    let reply = Response::builder().status(status);
    reply.body(UnsyncBoxBody::new(body)).unwrap()
}

fn object(version: u32, packed: &ByteString) -> Value {
    let metadata = json!({
        "name": "siar-default", "namespace": "siar", "resourceVersion": version.to_string(),
    });
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {KEY: packed}})
}

fn list(version: u32, items: &[Value]) -> Reply {
    let metadata = json!({"resourceVersion": version.to_string()});
    let list =
        json!({"apiVersion": "v1", "kind": "SecretList", "metadata": metadata, "items": items});
    reply(200, &list)
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason})
}

fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

fn packed(channel: &str) -> ByteString {
    ByteString(snapshot(&[(channel, open())]).pack())
}

/// The one Channel of a Snapshot.
#[track_caller]
fn check(found: Option<Arc<Snapshot>>, channel: &str) {
    let found = found.expect("a Snapshot");
    let names: Vec<String> = found
        .policies()
        .iter()
        .map(|p| p.channel.to_string())
        .collect();
    assert_eq!(names, [format!("shop/{channel}")]);
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("siar-secret-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_the_secret_holds_comes_at_once_and_a_change_of_it_as_well() {
    let mut scene = Scene::new(None);
    let (found, asked) = scene
        .run(SECOND, vec![list(7, &[object(5, &packed("a"))])])
        .await;
    check(found, "a");
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("/api/v1/namespaces/siar/secrets?"),
        "{asked:?}"
    );
    assert!(
        asked[0].contains("fieldSelector=metadata.name%3Dsiar-default"),
        "{asked:?}"
    );
    assert_eq!(scene.metrics.config_source_up.get(), 1);
    // Written again with the same content, it is no change.
    let events = [
        event("MODIFIED", &object(8, &packed("a"))),
        event("MODIFIED", &object(9, &packed("b"))),
    ];
    let (found, asked) = scene.run(SECOND, vec![lines(200, &events, true)]).await;
    check(found, "b");
    assert!(
        asked[0].contains("watch=true") && asked[0].contains("resourceVersion=7"),
        "{asked:?}"
    );
    assert!(asked[0].contains("timeoutSeconds=60"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_gives_way_to_the_mounted_copy_after_3_s_and_wins_when_it_comes() {
    let copy = file("hangs", &packed("mounted").0);
    let mut scene = Scene::new(Some(copy.clone()));
    let (list_is_asked, answer) = {
        let mut first = Box::pin(scene.secret.next());
        let asked = tokio::select! {
            _ = &mut first => panic!("nothing was said yet"),
            asked = scene.server.next_request() => asked.unwrap(),
        };
        assert!(
            timeout(FIRST_ANSWER - SECOND / 10, &mut first)
                .await
                .is_err()
        );
        check(timeout(SECOND / 5, first).await.ok(), "mounted");
        asked
    };
    assert!(list_is_asked.uri().path().ends_with("/secrets"));
    assert_eq!(
        scene.metrics.config_source_up.get(),
        0,
        "the copy may be old"
    );
    answer.send_response(list(7, &[object(5, &packed("newer"))]));
    check(scene.run(SECOND, Vec::new()).await.0, "newer");
    assert_eq!(scene.metrics.config_source_up.get(), 1);
    // From here on the copy does not count, whatever becomes of the API server.
    std::fs::write(&copy, packed("other").0).unwrap();
    let failures = (0..9).map(|_| reply(503, &failure(503, "ServiceUnavailable")));
    let (found, _) = scene.run(60 * SECOND, failures.collect()).await;
    std::fs::remove_file(&copy).unwrap();
    assert!(found.is_none());
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_says_nothing_of_the_secret_a_newer_copy_is_taken() {
    let copy = file("newer", &packed("a").0);
    let mut scene = Scene::new(Some(copy.clone()));
    let forbidden = || {
        (0..99)
            .map(|_| reply(403, &failure(403, "Forbidden")))
            .collect()
    };
    let (found, asked) = scene.run(4 * SECOND, forbidden()).await;
    check(found, "a");
    assert!((2..=5).contains(&asked.len()), "{asked:?}");
    std::fs::write(&copy, packed("b").0).unwrap();
    check(scene.run(6 * SECOND, forbidden()).await.0, "b");
    let (found, asked) = scene.run(60 * SECOND, forbidden()).await;
    std::fs::remove_file(&copy).unwrap();
    assert!(found.is_none());
    // Every 2.5 to 5 s.
    assert!((11..=25).contains(&asked.len()), "{}", asked.len());
    assert_eq!(scene.metrics.config_source_up.get(), 0);
    assert_eq!(
        scene.secret.told.iter().collect::<Vec<_>>(),
        ["list: 403 Forbidden"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_listed_anew_and_nothing_is_wrong() {
    let mut scene = Scene::new(None);
    check(
        scene
            .run(SECOND, vec![list(7, &[object(5, &packed("a"))])])
            .await
            .0,
        "a",
    );
    let gone = failure(410, "Expired");
    // As the first event of the watch, and instead of one.
    let refusals = [
        lines(200, &[event("ERROR", &gone)], false),
        reply(410, &gone),
    ];
    for (refusal, name) in refusals.into_iter().zip(["b", "c"]) {
        let replies = vec![refusal, list(90, &[object(80, &packed(name))])];
        let (found, asked) = scene.run(5 * SECOND, replies).await;
        check(found, name);
        assert!(
            asked[0].contains("watch=true") && !asked[1].contains("watch=true"),
            "{asked:?}"
        );
    }
    assert_eq!(scene.metrics.config_source_up.get(), 1);
    assert!(scene.secret.told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_refuses_every_version_is_not_asked_without_end() {
    let mut scene = Scene::new(None);
    let gone = || reply(410, &failure(410, "Expired"));
    let empty = || list(7, &[]);
    let replies = (0..99).flat_map(|_| [empty(), gone()]).collect();
    let (found, asked) = scene.run(10 * SECOND, replies).await;
    assert!(found.is_none());
    assert!((10..=24).contains(&asked.len()), "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_begins_again_counts_as_an_answer_before_anything_changes() {
    let mut scene = Scene::new(None);
    let first = vec![list(7, &[object(5, &packed("a"))])];
    check(scene.run(SECOND, first).await.0, "a");
    let cut = || lines(200, &[], false);
    let broken = || reply(500, &failure(500, "InternalError"));
    let (found, _) = scene.run(SECOND / 4, vec![cut(), broken()]).await;
    assert!(found.is_none());
    assert_eq!(scene.metrics.config_source_up.get(), 0);
    let (found, asked) = scene.run(2 * SECOND, vec![lines(200, &[], true)]).await;
    assert!(found.is_none());
    assert_eq!(asked.len(), 1);
    assert_eq!(scene.metrics.config_source_up.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_begun_anew_after_65_s_and_all_is_listed_every_ten_minutes() {
    let mut scene = Scene::new(None);
    let first = vec![list(7, &[object(5, &packed("a"))])];
    check(scene.run(SECOND, first).await.0, "a");
    let silent = || lines(200, &[], true);
    let (_, asked) = scene.run(64 * SECOND, vec![silent(), silent()]).await;
    assert_eq!(asked.len(), 1);
    let (_, asked) = scene.run(2 * SECOND, vec![silent(), silent()]).await;
    assert_eq!(asked.len(), 1);
    let replies = (0..9).map(|_| silent()).collect();
    let (_, asked) = scene.run(540 * SECOND, replies).await;
    let lists = asked.iter().filter(|asked| !asked.contains("watch=true"));
    assert_eq!(lists.count(), 1, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_absent_secret_is_an_answer_and_the_copy_is_not_read() {
    let copy = file("absent", &packed("mounted").0);
    let mut scene = Scene::new(Some(copy.clone()));
    let (found, _) = scene
        .run(30 * SECOND, vec![list(7, &[]), lines(200, &[], true)])
        .await;
    std::fs::remove_file(&copy).unwrap();
    assert!(found.is_none());
    assert_eq!(scene.metrics.config_source_up.get(), 1);
    assert_eq!(scene.secret.told.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_unpacked_is_rejected_once_and_changes_nothing() {
    let mut scene = Scene::new(None);
    check(
        scene
            .run(SECOND, vec![list(7, &[object(5, &packed("a"))])])
            .await
            .0,
        "a",
    );
    let newer: ByteString = serde_json::from_value(json!(NEWER)).unwrap();
    let written = |packed: &ByteString| event("MODIFIED", &object(9, packed));
    let no_gzip = ByteString(b"no gzip".to_vec());
    let nothing = ByteString::default();
    let bad = [&newer, &newer, &no_gzip, &nothing].map(written);
    let (found, _) = scene.run(SECOND, vec![lines(200, &bad, false)]).await;
    assert!(found.is_none());
    assert_eq!(scene.rejected(), 3);
    let told: Vec<&String> = scene.secret.told.iter().collect();
    assert!(told[0].contains(KEY), "{told:?}");
    // What is in force is no change when it comes back.
    let good = [&packed("a"), &packed("b")].map(written);
    let (found, _) = scene.run(SECOND, vec![lines(200, &good, true)]).await;
    check(found, "b");
    assert_eq!(scene.rejected(), 3);
}
