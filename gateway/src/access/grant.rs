//! stub
use crate::clock::Now;
use crate::close::CloseReason;
use crds::snapshot::Snapshot;
use std::sync::Arc;
pub struct Grant {}
pub enum Again {
    Unchanged,
    Renewed(Grant),
    Ended(CloseReason),
}
impl Grant {
    pub fn identity(&self) -> Option<&Arc<str>> {
        None
    }
    pub fn expires(&self) -> Option<u64> {
        None
    }
    pub fn again(&self, _s: &Snapshot, _n: Now) -> Again {
        Again::Unchanged
    }
}
