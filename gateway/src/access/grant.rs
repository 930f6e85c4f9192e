//! placeholder
/// placeholder
#[derive(Debug)]
pub struct Grant {}
