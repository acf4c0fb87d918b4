//! Is the process up? One value per boot; everything the process does ends with it.
use std::sync::Arc;
use tokio::sync::watch;

/// What the process does with its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Accepts and answers.
    Serving,
    /// Accepts and never answers; running answers freeze.
    Blackhole,
    /// Dead: no listener, all sockets reset, plugin processes gone.
    Cut,
}

/// The power switch of one boot of one daemon.
#[derive(Debug, Clone)]
pub(super) struct Power(Arc<watch::Sender<State>>);

impl Power {
    /// A process that has just started.
    pub(super) fn on() -> Self {
        Self(Arc::new(watch::Sender::new(State::Serving)))
    }

    /// Changes the state; a dead process stays dead.
    pub(super) fn set(&self, state: State) {
        self.0.send_if_modified(|now| {
            let changes = *now != State::Cut && *now != state;
            if changes {
                *now = state;
            }
            changes
        });
    }

    /// The state at this moment.
    pub(super) fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Returns when the process is dead.
    pub(super) async fn cut(&self) {
        self.wait(|state| state == State::Cut).await;
    }

    /// Returns when the process no longer answers, for whatever reason.
    pub(super) async fn disturbed(&self) {
        self.wait(|state| state != State::Serving).await;
    }

    async fn wait(&self, reached: impl Fn(State) -> bool) {
        // An error means that the sender is gone, and `self` is a sender.
        let _ = self.0.subscribe().wait_for(|state| reached(*state)).await;
    }
}
