//! May this call run here, and does it? The daemon's middleware, in its order.
use super::answer::Answer;
use super::envelope;
use super::exchange::{End, Exchange};
use super::execution::{self, Job};
use super::plugin::{Presence, Runtime};
use super::routes;
use super::script::{self, Script};
use super::sse::Relay;
use serde_json::Value;
use std::sync::Arc;

/// Answers `/plugin/:t/dispatch/<op>` and `/v2/invoke/dispatch/<op>`; `id_header` tells which.
pub(super) async fn answer(x: &mut Exchange, op: &str, id_header: &str) -> End {
    // Counted from here: refused calls are in `active_dispatch_requests` too.
    let _active = x.node.active_dispatch.raise();
    if !x.key_fits() {
        return x.reply(Answer::json(401, envelope::unauthorized())).await;
    }
    let Some(identifier) = x
        .header(id_header)
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
    else {
        let field = if id_header == "X-Plugin-ID" {
            "plugin_id"
        } else {
            "plugin_unique_identifier"
        };
        let refusal = envelope::bad_request(&format!("{field} is required"));
        return x.reply(Answer::json(400, refusal)).await;
    };
    let plugin = plugin_id(&identifier);
    let runtime = match x.node.plugins.of_identifier(&identifier) {
        Presence::NotInstalled => {
            return x.reply(Answer::json(404, envelope::not_installed())).await;
        }
        Presence::NotRunning => return x.reply(Answer::json(404, envelope::not_running())).await,
        Presence::Running(runtime) => runtime,
    };
    let Some(body) = x.read_body(usize::MAX).await else {
        return End::Close;
    };
    let bound = bind(x, &body.bytes, id_header != "X-Plugin-ID");
    match bound.and_then(|body| script_of(x, op, &plugin, &body)) {
        Ok(script) => execute(x, op, &plugin, runtime, script).await,
        Err(message) => {
            x.reply(Answer::json(400, envelope::bad_request(&message)))
                .await
        }
    }
}

/// `author/name:version@checksum` is the plugin `author/name`.
pub(super) fn plugin_id(identifier: &str) -> String {
    identifier.split(':').next().unwrap_or_default().to_owned()
}

/// What gin's binding and validation let through.
fn bind(x: &Exchange, body: &[u8], needs_tenant: bool) -> Result<Value, String> {
    if x.header("Content-Type") != Some("application/json") {
        return Err(required("Data"));
    }
    if body.is_empty() {
        return Err("EOF".to_owned());
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let tenant = body
        .get("tenant_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if needs_tenant && tenant.is_empty() {
        return Err(required("TenantId"));
    }
    match body.get("data") {
        Some(Value::Object(_)) => Ok(body),
        _ => Err(required("Data")),
    }
}

fn required(field: &str) -> String {
    format!(
        "Key: 'InvokePluginRequest.{field}' Error:Field validation for '{field}' failed on the 'required' tag"
    )
}

fn script_of(x: &Exchange, op: &str, plugin: &str, body: &Value) -> Result<Script, String> {
    let shape = Script {
        events: if routes::answers_once(op) { 1 } else { 3 },
        json: routes::is_polling(op),
        ..Script::default()
    };
    let table = x.node.script(&[plugin, op]).unwrap_or(shape);
    let mut script = match script::sim(body) {
        Some(sim) => table.overlaid(sim)?,
        None => table,
    };
    if script.id.is_none() {
        script.id = x.header("X-Request-Id").map(str::to_owned);
    }
    Ok(script)
}

async fn execute(
    x: &mut Exchange,
    op: &str,
    plugin: &str,
    runtime: Arc<Runtime>,
    script: Script,
) -> End {
    if let Some(answer) = Answer::unexecuted(&script.fail) {
        return x.reply(answer).await;
    }
    let node = Arc::clone(&x.node);
    let ticket = node
        .world()
        .ledger()
        .record(script.id.clone(), node.id(), plugin, op);
    let relay = Relay {
        op,
        plugin,
        ticket,
        script: &script,
        raw: false,
    };
    let job = Job {
        node,
        power: x.power.clone(),
        ticket,
        call: runtime.enter(),
        script: script.clone(),
    };
    let steps = execution::launch(job);
    if script.json {
        relay.document(x, steps).await
    } else {
        relay.stream(x, steps).await
    }
}
