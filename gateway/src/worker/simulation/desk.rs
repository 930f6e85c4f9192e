//! A worker's table and mail, read as `worker` reads them, but one piece at a time.

use crate::topics::{Mail, Mailbox, Topics};
use crate::worker::table::{Paged, Table};
use std::collections::VecDeque;
use std::sync::Arc;

/// A worker without sockets.
pub struct Desk {
    pub table: Table,
    mailbox: Arc<Mailbox>,
    /// Taken from the mailbox and not read yet.
    mail: VecDeque<Mail>,
}

impl Desk {
    pub fn new(index: usize, topics: &Arc<Topics>, mailbox: &Arc<Mailbox>) -> Self {
        Self {
            table: Table::new(index, topics.clone()),
            mailbox: mailbox.clone(),
            mail: VecDeque::new(),
        }
    }

    /// What is read next, in words; none: there is no mail.
    pub fn read(&mut self, told: bool) -> Option<(String, Option<Paged>)> {
        if self.mail.is_empty() {
            self.mailbox.take(&mut self.mail);
        }
        let mail = self.mail.pop_front()?;
        let words = if told { words(&mail) } else { String::new() };
        Some((words, self.table.take(mail)))
    }
}

fn words(mail: &Mail) -> String {
    match mail {
        Mail::Joined { topic, lineage } => format!("{topic:?} joined {lineage:?}"),
        Mail::NotJoined { topic, .. } => format!("{topic:?} not joined"),
        Mail::Frame { topic, frame } => format!("{topic:?} frame {:?}", frame.position()),
        Mail::Gap {
            topic,
            reason,
            position,
        } => format!("{topic:?} gap {reason:?} {position:?}"),
        Mail::Overflow { topic, position } => format!("{topic:?} overflow {position:?}"),
        Mail::Page {
            topic,
            cursor,
            page,
        } => {
            let page = page.as_ref().ok().map(|page| super::page(page));
            format!("{topic:?} page after {cursor}: {page:?}")
        }
    }
}
