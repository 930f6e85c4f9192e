//! The keeper as a gateway sees it: it notes what is asked, and answers when the schedule says so.

use super::{Confirmed, Question, Read};
use crate::address::Address;
use crate::broker::{
    Broker, LocalPresence, Newest, Page, Pick, PresencePart, Publication, PublishError, Published,
    Since, Target, Unavailable,
};
use crate::message::Session;
use crate::position::{Lineage, Position};
use crds::policy::Policy;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the gateway told its keeper.
#[derive(Default)]
pub struct Told {
    pub questions: Vec<Question>,
    /// Somebody joins or has joined.
    pub wanted: bool,
    /// From now on an interruption is told.
    pub active: bool,
}

/// The keeper.
pub struct Remote(pub Arc<Mutex<Told>>);

fn wait<T: Send + 'static>(answer: oneshot::Receiver<T>) -> BoxFuture<'static, T> {
    Box::pin(async move { answer.await.expect("every question is answered") })
}

impl Broker for Remote {
    fn kind(&self) -> &'static str {
        "redis"
    }
    fn apply(&self, _: Vec<Arc<Policy>>) {}
    fn publish(&self, _: Publication) -> BoxFuture<'_, Result<Published, PublishError>> {
        unreachable!("the keeper publishes")
    }
    fn subscribe(&self, _: Target) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        let (sender, answer) = oneshot::channel();
        let mut told = self.0.lock();
        told.wanted = true;
        let question = Question::Subscribe(Confirmed::Not, sender);
        told.questions.push(question);
        wait(answer)
    }
    fn unsubscribe(&self, _: Address) -> BoxFuture<'_, ()> {
        let (sender, answer) = oneshot::channel();
        let mut told = self.0.lock();
        (told.wanted, told.active) = (false, false);
        told.questions.push(Question::Unsubscribe(sender));
        wait(answer)
    }
    fn read(&self, _: Target, cursor: Position) -> BoxFuture<'_, Result<Page, Unavailable>> {
        let (sender, answer) = oneshot::channel();
        let question = Question::Read(cursor, Read::Asked, sender);
        self.0.lock().questions.push(question);
        wait(answer)
    }
    fn lineage(&self, _: Address) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        unreachable!("nobody asks")
    }
    fn newest(&self, _: Target, _: Pick) -> BoxFuture<'_, Result<Newest, Unavailable>> {
        unreachable!("nobody asks")
    }
    fn since(&self, _: Address, _: Since) -> BoxFuture<'_, Result<Position, Unavailable>> {
        unreachable!("nobody asks")
    }
    fn ask_presence(&self, _: Address) -> BoxFuture<'_, Vec<Option<PresencePart>>> {
        unreachable!("nobody asks")
    }
    fn answer_presence(&self, _: LocalPresence) {}
    fn session_opened(&self, _: &Target, _: Option<&Arc<str>>, _: Session) {}
    fn session_closed(&self, _: &Target, _: Option<&Arc<str>>, _: Session) {}
}
