//! What happens inside the plugin's process? It runs to its end, whoever still listens.
use super::ledger::Ticket;
use super::node::Node;
use super::plugin::Call;
use super::power::Power;
use super::script::{Fail, Script};
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many steps the daemon holds for a slow client (its stream buffer).
const BUFFERED: usize = 512;

/// What the process tells the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The event with this number.
    Event(u32),
    PluginError,
    KilledByTimeout,
    Reset,
    Close,
    Exit,
    /// The stream ended well.
    End,
}

/// One execution about to begin.
pub(super) struct Job {
    pub(super) node: Arc<Node>,
    pub(super) power: Power,
    pub(super) ticket: Ticket,
    pub(super) call: Call,
    pub(super) script: Script,
}

/// Starts it. Dropping the receiver does not stop it: the daemon never cancels. The death of the
/// process does, and then the channel closes without [`Step::End`].
pub(super) fn launch(job: Job) -> mpsc::Receiver<Step> {
    let (steps, receiver) = mpsc::channel(BUFFERED);
    tokio::spawn(async move {
        let power = job.power.clone();
        tokio::select! {
            () = power.cut() => {}
            () = run(job, steps) => {}
        }
    });
    receiver
}

async fn run(job: Job, steps: mpsc::Sender<Step>) {
    let Job {
        node,
        ticket,
        call,
        script,
        ..
    } = job;
    let turn = call.runtime().turn().await;
    node.world().ledger().started(ticket);
    node.sleep(script.ttfb_ms).await;
    let fails = script.fail != Fail::None;
    let events = if fails {
        script.fail_after
    } else {
        script.events
    };
    for number in 0..events {
        if number > 0 {
            node.sleep(script.gap_ms).await;
        }
        // A client that has left is not a reason to stop, so the error is not looked at.
        let _ = steps.send(Step::Event(number)).await;
    }
    if fails && events > 0 {
        node.sleep(script.gap_ms).await;
    }
    let last = match script.fail {
        Fail::PluginError => Step::PluginError,
        Fail::KilledByTimeout => Step::KilledByTimeout,
        Fail::Reset => Step::Reset,
        Fail::Close => Step::Close,
        Fail::Exit => Step::Exit,
        Fail::Hang => std::future::pending().await,
        // The last two are answered before anything is launched.
        Fail::None | Fail::RuntimeVanished | Fail::Status(_) => Step::End,
    };
    // Finished before the client can see it, so that whoever has the answer finds it here.
    drop(turn);
    drop(call);
    node.world().ledger().finished(ticket);
    let _ = steps.send(last).await;
}
