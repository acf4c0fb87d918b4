//! What does a webhook see? `/e/:hook/*path`, public, raw.
use super::answer::Answer;
use super::envelope;
use super::exchange::{Body, End, Exchange};
use super::execution::{self, Job};
use super::plugin::{Presence, Runtime};
use super::script::Script;
use super::sse::Relay;
use serde_json::json;
use std::sync::Arc;

/// Of a longer body the plugin sees only this much, and nobody is told. Bytes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// Echoes what arrived, unless a script for `e/<hook>` says otherwise: then its events are chunks
/// of raw text, or its failure happens. The hook's plugin must run here, as for a dispatch.
pub(super) async fn answer(x: &mut Exchange, hook: &str, path: &str) -> End {
    let key = format!("e/{hook}");
    let plugin = x.node.settings.hooks.get(hook).cloned();
    let presence = plugin
        .as_deref()
        .map(|plugin| x.node.plugins.presence(plugin));
    let runtime = match presence {
        None => x.node.plugins.unnamed(),
        Some(Presence::Running(runtime)) => runtime,
        Some(Presence::NotInstalled) => {
            return x.reply(Answer::json(404, envelope::not_installed())).await;
        }
        Some(Presence::NotRunning) => {
            return x.reply(Answer::json(404, envelope::not_running())).await;
        }
    };
    let Some(body) = x.read_body(BODY_LIMIT).await else {
        return End::Close;
    };
    let plugin = plugin.unwrap_or_else(|| key.clone());
    if let Some(script) = x.node.script(&[&key]) {
        return scripted(x, &key, &plugin, runtime, script).await;
    }
    let id = x.header("X-Request-Id").map(str::to_owned);
    let ledger = x.node.world().ledger().clone();
    let ticket = ledger.record(id, x.node.id(), &plugin, &key);
    ledger.started(ticket);
    let answer = echo(x, hook, path, &body);
    ledger.finished(ticket);
    x.reply(answer).await
}

fn echo(x: &Exchange, hook: &str, path: &str, body: &Body) -> Answer {
    let header = |name| x.header(name).unwrap_or_default();
    let original = x
        .header("X-Original-Host")
        .unwrap_or_else(|| header("Host"));
    let seen = json!({
        "node": x.node.id(),
        "hook": hook,
        "method": x.method,
        "path": path,
        "query": x.query(),
        "host": header("Host"),
        "plugin_host": original,
        "x_original_host": x.header("X-Original-Host"),
        "dify_hook_url": x.header("Dify-Hook-Url"),
        "x_forwarded_proto": x.header("X-Forwarded-Proto"),
        "body_bytes": body.bytes.len(),
        "body_checksum": format!("{:016x}", body.sum),
    });
    Answer::new(200, "application/json", seen.to_string())
}

async fn scripted(
    x: &mut Exchange,
    key: &str,
    plugin: &str,
    runtime: Arc<Runtime>,
    script: Script,
) -> End {
    if let Some(answer) = Answer::unexecuted(&script.fail) {
        return x.reply(answer).await;
    }
    let node = Arc::clone(&x.node);
    let id = script
        .id
        .clone()
        .or_else(|| x.header("X-Request-Id").map(str::to_owned));
    let ticket = node.world().ledger().record(id, node.id(), plugin, key);
    let relay = Relay {
        op: key,
        plugin,
        ticket,
        script: &script,
        raw: true,
    };
    let (power, call) = (x.power.clone(), runtime.enter());
    let steps = execution::launch(Job {
        node,
        power,
        ticket,
        call,
        script: script.clone(),
    });
    relay.stream(x, steps).await
}
