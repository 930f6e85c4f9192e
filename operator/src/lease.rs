//! stub
use tokio::sync::watch;
pub struct Leadership {
    r: watch::Receiver<bool>,
    _s: watch::Sender<bool>,
}
impl Leadership {
    pub fn start(
        _c: &kube::Config,
        _s: &crate::args::Settings,
        _m: &std::sync::Arc<crate::metrics::Metrics>,
        _e: &crate::tasks::Essential,
    ) -> anyhow::Result<Self> {
        let (s, r) = watch::channel(true);
        Ok(Self { r, _s: s })
    }
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.r.clone()
    }
    pub async fn holds(&self) -> bool {
        *self.r.borrow()
    }
    pub async fn release(&self) {}
}
