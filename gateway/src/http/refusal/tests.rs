//! Each refusal: its status, its word, and whether it says when to come back.

use super::*;
use crate::message::Malformed;
use prometheus::Registry;

fn passing(reason: CloseReason) -> Refusal {
    let retry = Duration::from_millis(2500);
    Refusal::Passing(Passing { reason, retry })
}

#[track_caller]
fn check(refusal: &Refusal, status: u16, word: &str, retry_after: Option<&str>) {
    let metrics = Metrics::new(&Registry::new(), "default").unwrap();
    let response = refusal.answer(false, &metrics);
    assert_eq!(response.status().as_u16(), status, "{word}");
    assert_eq!(refusal.word(), word);
    let header = response.headers().get(RETRY_AFTER);
    assert_eq!(
        header.map(|value| value.to_str().unwrap()),
        retry_after,
        "{word}"
    );
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(metrics.refusals.with_label_values(&[word]).get(), 1);
    assert!(
        Refusal::WORDS.contains(&word),
        "{word} has a series from the start"
    );
}

fn denied(reason: Denied) -> Refusal {
    Refusal::Denied {
        reason,
        topic: "orders".into(),
        action: "subscribe",
    }
}

#[test]
fn what_is_wrong_stays_wrong() {
    check(
        &Bad::Message(Malformed::NoData).into(),
        400,
        "malformed",
        None,
    );
    check(&Bad::TwoTokens.into(), 400, "two-tokens", None);
    check(&denied(Denied::NoToken), 401, "no-token", None);
    check(&denied(Denied::BadToken), 401, "bad-token", None);
    check(&denied(Denied::NotAdmitted), 403, "not-admitted", None);
    check(&Refusal::CookieWithoutOrigin, 403, "origin", None);
    check(
        &Refusal::UnknownTopic("orders".into()),
        404,
        "unknown-topic",
        None,
    );
    check(&Refusal::UnknownPath, 404, "unknown-path", None);
    check(&Refusal::Method("GET"), 405, "method", None);
    check(&Refusal::NotAcceptable, 406, "not-acceptable", None);
    check(&Refusal::BodyTimeout, 408, "body-timeout", None);
    check(
        &Refusal::TooLarge {
            what: "The body",
            limit: 1,
        },
        413,
        "too-large",
        None,
    );
    check(&PublishError::Conflict.into(), 422, "key-conflict", None);
    check(&Refusal::Internal("a test"), 500, "internal", None);
}

#[test]
fn what_will_pass_says_when_to_come_back() {
    check(
        &Refusal::Rate(Duration::from_millis(10)),
        429,
        "rate",
        Some("1"),
    );
    check(&PublishError::Busy.into(), 503, "busy", Some("2"));
    check(
        &PublishError::OutcomeUnknown(String::new()).into(),
        503,
        "outcome-unknown",
        Some("2"),
    );
    for cause in Declined::ALL {
        let wait = if cause.passes() { "2" } else { "15" };
        let refusal = PublishError::Declined(cause).into();
        check(&refusal, 503, cause.word(), Some(wait));
    }
    check(
        &PublishError::Full("a test").into(),
        503,
        "capacity",
        Some("15"),
    );
    for (reason, word) in [
        (CloseReason::Draining, "draining"),
        (CloseReason::Capacity, "capacity"),
        (CloseReason::ClientLimit, "client-limit"),
        (CloseReason::Unavailable, "unavailable"),
        (CloseReason::Starting, "starting"),
    ] {
        check(&passing(reason), 503, word, Some("3"));
    }
}

#[tokio::test]
async fn an_event_source_gets_a_stream_that_ends_and_says_when_to_come_back() {
    use http_body_util::BodyExt;
    let metrics = Metrics::new(&Registry::new(), "default").unwrap();
    let response = passing(CloseReason::Capacity).answer(true, &metrics);
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        body,
        "retry: 2500\nevent: siar.end\ndata: {\"reason\":\"capacity\"}\n\n"
    );
}
