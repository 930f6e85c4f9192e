//! Bodies, read within bounds of size and time.
//!
//! Owns: those bounds. Used by: `publish`.

use super::super::request::Bad;
use super::super::{Asked, Refusal};
use super::admit::{self, Standing};
use crate::access::Action;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Bytes of a list: a hundred messages of the usual limit, with their framing.
const LIST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a list from somebody who may publish nowhere: enough to tell what is wrong with a first try.
const STRANGER_BYTES: usize = 64 * 1024;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Reads at most `limit` bytes, within [`BODY_TIME`].
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge {
            what: "The body",
            limit,
        }),
        Ok(Err(_)) => Err(Bad::Body.into()),
        Err(_late) => Err(Refusal::BodyTimeout),
    }
}

/// Reads a list, of which it is not known yet for which topics it is.
pub async fn list(asked: &mut Asked, body: Body) -> Result<Bytes, Refusal> {
    let denial = match admit::standing(asked)? {
        Standing::Somewhere => return read(body, LIST_BYTES).await,
        Standing::Nowhere(denial) => denial,
    };
    match (read(body, STRANGER_BYTES).await, denial) {
        (Err(Refusal::TooLarge { .. }), Some(denial)) => {
            Err(asked.denied(Action::Publish, &denial))
        }
        (read, _) => read,
    }
}
