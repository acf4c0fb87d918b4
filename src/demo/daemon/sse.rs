//! How do events reach the client? Nothing before the first one, one flush for each.
use super::answer::Answer;
use super::envelope;
use super::exchange::{End, Exchange};
use super::execution::Step;
use super::ledger::Ticket;
use super::power::State;
use super::script::Script;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc::Receiver;

const EVENT_STREAM: &str = "text/event-stream";

/// What is being answered.
pub(super) struct Relay<'r> {
    pub(super) op: &'r str,
    pub(super) plugin: &'r str,
    pub(super) ticket: Ticket,
    pub(super) script: &'r Script,
    /// Send lines of text, as a webhook may, in place of the daemon's envelope.
    pub(super) raw: bool,
}

impl Relay<'_> {
    /// Relays the steps of an execution as they come.
    pub(super) async fn stream(&self, x: &mut Exchange, mut steps: Receiver<Step>) -> End {
        let limit = x.node.settings.scaled(x.node.settings.max_execution_ms);
        let mut limit = std::pin::pin!(tokio::time::sleep(limit));
        let mut begun = false;
        loop {
            let step = tokio::select! {
                biased;
                () = x.gone() => return self.left(x),
                () = &mut limit => Some(Step::KilledByTimeout),
                step = steps.recv() => step,
            };
            let chunk = match step {
                Some(Step::Event(number)) => self.event(x, number),
                Some(Step::PluginError) => data(&envelope::plugin_error()),
                Some(Step::KilledByTimeout) => data(&envelope::internal("killed by timeout")),
                Some(Step::End) if begun => return End::Answered,
                // Go has nothing to chunk here and announces an empty body.
                Some(Step::End) => return x.reply(Answer::new(200, EVENT_STREAM, "")).await,
                Some(end) => return failed(x, end),
                None => return End::Reset,
            };
            if !begun && x.begin(200, EVENT_STREAM).await.is_err() {
                return self.left(x);
            }
            begun = true;
            if x.chunk(chunk).await.is_err() {
                return self.left(x);
            }
            if matches!(step, Some(Step::PluginError | Step::KilledByTimeout)) {
                return End::Answered;
            }
        }
    }

    /// Waits for the first step and answers one JSON document.
    pub(super) async fn document(&self, x: &mut Exchange, mut steps: Receiver<Step>) -> End {
        let limit = x.node.settings.scaled(x.node.settings.max_execution_ms);
        let step = tokio::select! {
            biased;
            () = x.gone() => return self.left(x),
            () = tokio::time::sleep(limit) => Some(Step::KilledByTimeout),
            step = steps.recv() => step,
        };
        let body = match step {
            Some(Step::Event(number)) => self.line(x, number),
            Some(Step::PluginError) => envelope::plugin_error(),
            Some(Step::KilledByTimeout) => envelope::internal("killed by timeout"),
            Some(Step::End) => envelope::success(&json!(null)),
            Some(end) => return failed(x, end),
            None => return End::Reset,
        };
        x.reply(Answer::json(200, body)).await
    }

    fn left(&self, x: &Exchange) -> End {
        x.node.world().ledger().client_gone(self.ticket);
        End::Close
    }

    fn event(&self, x: &Exchange, number: u32) -> Bytes {
        if self.raw {
            let pad = "x".repeat(self.script.event_bytes);
            return format!(
                "{} {number} {pad}
",
                x.node.id()
            )
            .into();
        }
        data(&self.line(x, number))
    }

    fn line(&self, x: &Exchange, number: u32) -> String {
        envelope::success(&json!({
            "node": x.node.id(),
            "op": self.op,
            "plugin": self.plugin,
            "seq": number,
            "pad": "x".repeat(self.script.event_bytes),
        }))
    }
}

/// An end without an answer.
fn failed(x: &Exchange, step: Step) -> End {
    match step {
        Step::Exit => {
            x.power.set(State::Cut);
            End::Reset
        }
        Step::Reset => End::Reset,
        _ => End::Close,
    }
}

fn data(line: &str) -> Bytes {
    format!("data: {line}\n\n").into()
}
