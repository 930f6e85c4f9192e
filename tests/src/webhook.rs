//! A webhook that decides who may come in.
//!
//! Owns: what it was asked, and every way to answer or not to. Never: decides by itself.
//! Used by: tests of `webhook` rules.

use crate::scripted::{Asked, Reply, Scripted};
use serde_json::{Value, json};
use std::ops::Deref;

/// How it answers.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Yes, with what it says of the visitor.
    Allow {
        identity: Option<String>,
        expires: Option<Value>,
    },
    /// No.
    Deny { reason: Option<String> },
    /// 200 with this body.
    Body(Value),
    /// A status without a body.
    Status(u16),
    /// Another place to ask.
    Redirect(String),
    /// Not, until it is told to answer otherwise; then so, also to those who wait.
    Hangs,
    /// 200 with a page.
    NotJson,
    /// Yes, in 100 MiB.
    Endless,
}

/// The running webhook.
pub struct Webhook {
    server: Scripted,
}

impl Verdict {
    /// Yes, and nothing more.
    #[must_use]
    pub fn allow() -> Self {
        Self::Allow {
            identity: None,
            expires: None,
        }
    }

    /// Yes: it is `identity`.
    #[must_use]
    pub fn allow_as(identity: &str) -> Self {
        Self::Allow {
            identity: Some(identity.into()),
            expires: None,
        }
    }

    /// No, because of `reason`.
    #[must_use]
    pub fn deny(reason: &str) -> Self {
        Self::Deny {
            reason: Some(reason.into()),
        }
    }
}

impl Webhook {
    /// Starts on 127.0.0.1 and allows everyone.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1").await
    }

    /// Starts on a loopback address and allows everyone.
    pub async fn start_on(address: &str) -> Self {
        Self {
            server: Scripted::start(address, |_| reply(&Verdict::allow())).await,
        }
    }

    /// Answers so from now on.
    pub fn answer(&self, verdict: Verdict) {
        self.server.script(move |_| reply(&verdict));
    }

    /// Answers each request by what it says.
    pub fn answer_by(&self, decide: impl Fn(&Asked) -> Verdict + Send + Sync + 'static) {
        self.server.script(move |asked| reply(&decide(asked)));
    }

    /// Where it is asked.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/allow", self.server.address())
    }
}

/// Where it listens, what it was asked, who waits.
impl Deref for Webhook {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.server
    }
}

fn reply(verdict: &Verdict) -> Reply {
    match verdict {
        Verdict::Allow { identity, expires } => Reply::json(
            200,
            &without_nulls(json!({ "allow": true, "identity": identity, "expires": expires })),
        ),
        Verdict::Deny { reason } => Reply::json(
            200,
            &without_nulls(json!({ "allow": false, "reason": reason })),
        ),
        Verdict::Body(body) => Reply::json(200, body),
        Verdict::Status(status) => Reply::status(*status),
        Verdict::Redirect(url) => Reply::redirect(url),
        Verdict::Hangs => Reply::Hangs,
        Verdict::NotJson => Reply::page(),
        Verdict::Endless => Reply::Endless {
            begin: "{\"allow\":true",
            end: "}",
        },
    }
}

/// What is not said is left out.
fn without_nulls(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    body
}
