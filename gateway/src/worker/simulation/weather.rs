//! What may go wrong in one schedule.

use super::chance::Chance;

/// What may go wrong in a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Messages kept; 0: live only.
    pub history: usize,
    /// Messages in a page.
    pub page: usize,
    pub lose: bool,
    pub repeat: bool,
    pub reorder: bool,
    pub cut: bool,
    pub refuse: bool,
    pub restart: bool,
    pub roll_back: bool,
    pub flush: bool,
    pub expire: bool,
    pub fall_out: bool,
    pub park: bool,
    /// Streams prefer the gateway with the small mailbox.
    pub crowd: bool,
    pub leave: bool,
}

impl Weather {
    pub fn draw(chance: &mut Chance) -> Self {
        let history = match chance.below(5) {
            0 => 0,
            1 => 1 + chance.count(3),
            2 => 4 + chance.count(5),
            _ => 1000,
        };
        let lose = chance.one_in(2);
        Self {
            history,
            page: 1 + chance.count(4),
            lose,
            repeat: chance.one_in(3),
            reorder: chance.one_in(3),
            cut: chance.one_in(2),
            refuse: chance.one_in(4),
            restart: chance.one_in(3),
            roll_back: chance.one_in(3),
            // What is lost on the way and then flushed leaves no trace in an unbroken subscription.
            flush: !lose && chance.one_in(6),
            expire: history > 0 && chance.one_in(8),
            fall_out: chance.one_in(3),
            park: chance.one_in(2),
            crowd: chance.one_in(4),
            leave: chance.one_in(2),
        }
    }
}
