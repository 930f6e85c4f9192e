//! A worker's table and mail, read as `worker` reads them, but one piece at a time.

use crate::broker::{Page, Unavailable};
use crate::position::Position;
use crate::topics::{Mail, Mailbox, Topics};
use crate::worker::table::{Member, Table};
use std::collections::VecDeque;
use std::sync::Arc;

/// A worker without sockets.
pub struct Desk {
    pub table: Table,
    mailbox: Arc<Mailbox>,
    /// Taken from the mailbox and not read yet.
    mail: VecDeque<Mail>,
}

/// A page came for those who asked.
pub struct Paged {
    pub members: Vec<Member>,
    pub cursor: Position,
    pub page: Result<Arc<Page>, Unavailable>,
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
        let table = &mut self.table;
        let words = if told { words(&mail) } else { String::new() };
        match mail {
            Mail::Frame { topic, frame } => table.feed(topic, |local| {
                if let Some(position) = frame.position() {
                    local.learn(position, frame.first());
                }
                local.ring.push(frame);
            }),
            Mail::Gap {
                topic,
                reason,
                position,
            } => table.feed(topic, |local| local.ring.push_gap(reason, position)),
            Mail::Overflow { topic, position } => table.feed(topic, |local| {
                let position = position.unwrap_or(local.ring.position());
                local.ring.restart(position);
            }),
            Mail::Joined { topic, lineage } => table.joined(topic, lineage),
            Mail::NotJoined { topic, error } => table.not_joined(topic, &error),
            Mail::Page {
                topic,
                cursor,
                page,
            } => {
                let members = table.answered(topic, cursor);
                let paged = Paged {
                    members,
                    cursor,
                    page,
                };
                return Some((words, Some(paged)));
            }
        }
        Some((words, None))
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
