//! What goes through, unchanged.

use crate::support::client::expect_events;
use crate::support::gateway::Gateway;
use crate::support::within;
use crate::{PLUGIN, daemons, sim};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn f001_a_hundred_requests_through_three_nodes_without_redis() {
    let nodes = daemons(3).await;
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "").await;
    let dify = gateway.dify();
    for n in 0..100 {
        let script = sim(json!({"id": format!("{n}")}));
        expect_events(within("an answer", dify.all("tool/invoke", PLUGIN, script)).await);
    }
    assert_eq!(nodes[0].ledger().len(), 100);
    assert_eq!(nodes[0].ledger().duplicates().len(), 0);
    let status = gateway.admin("/status").await.json();
    assert_eq!(status["redis"], "disabled");
    assert_eq!(gateway.in_flight(), 0);
}
