//! How does a plugin come to a daemon, and how does it leave?
use super::dispatch::plugin_id;
use super::exchange::Exchange;
use super::node::Node;
use super::power::Power;
use super::settings::Storage;
use super::world::Task;
use serde_json::{Value, json};
use std::sync::Arc;

/// `install/identifiers`: answers at once, works in the background of this daemon.
pub(super) fn begin(node: &Arc<Node>, power: &Power, request: &Value) -> Value {
    let identifiers: Vec<String> = request
        .get("plugin_unique_identifiers")
        .and_then(Value::as_array)
        .map(|list| {
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    // The row in the shared database decides, not the process on this daemon.
    if identifiers
        .iter()
        .all(|identifier| node.plugins.installed(&plugin_id(identifier)))
    {
        return json!({"all_installed": true, "task_id": ""});
    }
    let id = format!("task-{}", node.world().number());
    note(node, &id, &identifiers, "pending", "");
    let (node, power, task) = (Arc::clone(node), power.clone(), id.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = power.cut() => {
                note(&node, &task, &identifiers, "failed", "An unexpected daemon shutdown occurred");
            }
            () = work(&node, &task, &identifiers) => spread(&node, &identifiers).await,
        }
    });
    json!({"all_installed": false, "task_id": id})
}

fn note(
    node: &Node,
    id: &str,
    identifiers: &[String],
    status: &'static str,
    message: &'static str,
) {
    let identifiers = identifiers.to_vec();
    node.world().set_task(
        id,
        Task {
            status,
            message,
            identifiers,
        },
    );
}

async fn work(node: &Node, task: &str, identifiers: &[String]) {
    note(node, task, identifiers, "running", "");
    node.sleep(node.settings.install.here_ms).await;
    for identifier in identifiers {
        let plugin = plugin_id(identifier);
        for other in node.world().nodes() {
            other.plugins.set_installed(&plugin, true);
        }
        node.plugins.set_running(&plugin, true);
    }
    note(node, task, identifiers, "success", "");
}

/// The other daemons find the package at their next sweep, if they can see it at all.
async fn spread(node: &Node, identifiers: &[String]) {
    let install = &node.settings.install;
    if install.storage == Storage::PerNode {
        return;
    }
    node.sleep(install.sweep_ms).await;
    node.sleep(install.elsewhere_ms).await;
    for other in node.world().nodes() {
        for identifier in identifiers {
            other.plugins.set_running(&plugin_id(identifier), true);
        }
    }
}

/// `uninstall`: waits for the calls that run here; the others stop theirs at their next sweep.
/// `None` if the client left before.
pub(super) async fn uninstall(x: &mut Exchange, request: &Value) -> Option<()> {
    let id = request
        .get("plugin_installation_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let plugin = plugin_id(id);
    let node = Arc::clone(&x.node);
    for daemon in node.world().nodes() {
        daemon.plugins.set_installed(&plugin, false);
    }
    let idle = node.world().until(|| node.plugins.active(&plugin) == 0);
    x.while_waited_for(idle).await?;
    node.plugins.set_running(&plugin, false);
    let sweep = node.clone();
    tokio::spawn(async move {
        sweep.sleep(sweep.settings.install.sweep_ms).await;
        for daemon in sweep.world().nodes() {
            daemon.plugins.set_running(&plugin, false);
        }
    });
    Some(())
}
