//! How does it say that it is well, and what does it count?
use super::answer::Answer;
use super::envelope;
use super::exchange::{End, Exchange};
use super::node::Node;
use super::settings::Health;
use std::fmt::Write;

/// `ROUTINE_POOL_SIZE`, the size of the daemon's goroutine pool.
const POOL: u64 = 10_000;

/// `GET /health/check`.
pub(super) async fn check(x: &mut Exchange) -> End {
    let node = std::sync::Arc::clone(&x.node);
    node.count_health_check();
    let health = node.health();
    let ready = async {
        node.sleep(health.delay_ms).await;
        if health.hang {
            std::future::pending::<()>().await;
        }
    };
    if x.while_waited_for(ready).await.is_none() {
        return End::Close;
    }
    let body = match (&health.body, health.status) {
        (Some(body), _) => body.clone(),
        (None, 200) => body(&node, &health),
        (None, _) => envelope::internal("unhealthy"),
    };
    x.reply(Answer::json(health.status, body)).await
}

/// gin.H is a map, so its keys are sorted; `pool_status` is a struct and is not.
fn body(node: &Node, health: &Health) -> String {
    let dispatch = node.active_dispatch.get() + health.extra_dispatch;
    let active = if health.omit_active {
        String::new()
    } else {
        let requests = node.active_requests.get() + health.extra_dispatch;
        format!(r#""active_dispatch_requests":{dispatch},"active_requests":{requests},"#)
    };
    let busy = (dispatch + 1).min(POOL);
    let free = POOL - busy;
    let (platform, version) = (&health.platform, &node.settings.version);
    format!(
        r#"{{{active}"build_time":"2026-08-21T08:36:58+0000","platform":"{platform}","pool_status":{{"free":{free},"busy":{busy},"total":{POOL}}},"status":"ok","version":"{version}"}}"#
    )
}

/// `GET /metrics/`.
pub(super) async fn metrics(x: &mut Exchange) -> End {
    let mut text = String::from(
        "# HELP plugin_runtime_status Plugin runtime status (1=active, 0.5=launching, 0=stopped)\n\
         # TYPE plugin_runtime_status gauge\n",
    );
    for (plugin, status) in x.node.plugins.statuses() {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            r#"plugin_runtime_status{{plugin_id="{plugin}",runtime_type="local"}} {status}"#
        );
    }
    x.reply(Answer::new(
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
    .await
}
