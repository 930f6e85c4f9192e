//! stub
use crate::close::CloseReason;
pub struct Limits {}
pub struct ConnectionPermit {}
pub struct Permit {}
impl Permit {
    pub fn opened(&mut self) {}
    pub fn close(&mut self, _r: CloseReason) {}
}
impl Limits {
    pub fn connection(&self) -> Option<(ConnectionPermit, bool)> {
        None
    }
}
