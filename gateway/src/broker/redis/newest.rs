//! Looking back through what Redis keeps, the newest message first.
//!
//! Owns: in which steps. Never: decides what is wanted, which [`Look`] does. Used by: `redis`.

use super::answers::fits;
use super::commands::Failure;
use super::history::{History, Rows, entries};
use crate::broker::{Look, Newest, Pick, Target, Unavailable};

impl History {
    /// Those of the newest messages kept that `pick` wants.
    pub async fn newest(&self, target: &Target, pick: Pick) -> Result<Newest, Unavailable> {
        let lineage = self.lineage(&target.address).await?;
        let mut look = Look::new(pick);
        let looked = self.look_back(target, &mut look).await;
        looked.map_err(|failure| failure.at("read the newest messages"))?;
        Ok(look.answer(lineage))
    }

    /// Shows them to `look` step by step, so that no answer of the server is large, until it has enough.
    async fn look_back(&self, target: &Target, look: &mut Look) -> Result<(), Failure> {
        let names = self.keys.names(&target.address);
        let mut from = "+".to_owned();
        loop {
            let count = look.left().clamp(1, fits(target));
            let _room = self.answers.room(target, count).await;
            let mut pipe = redis::pipe();
            pipe.xrevrange_count(&names.history, &from, "-", count);
            let (rows,): (Rows,) = self.ask(&names, &pipe).await?;
            let last = rows.len() < count;
            let entries = entries(rows);
            let mut back = entries.iter();
            let enough = back.any(|(_, frame)| look.at(frame.as_ref()).is_break());
            let older = entries
                .last()
                .map_or(0, |(oldest, _)| oldest.saturating_sub(1));
            if last || enough || older == 0 {
                return Ok(());
            }
            from = format!("{older}-0");
        }
    }
}
