//! A file with nodes, and members that come and go too often.

use crate::rig::{become_members, become_up, daemons, looking, members, node, works, yaml};
use crate::support::eventually;
use std::path::Path;
use std::sync::Arc;
use twolane::demo::daemon::Daemon;

fn write(file: &Path, nodes: &[&Daemon]) {
    let rows = nodes
        .iter()
        .map(|node| format!("- {{ id: {}, address: \"{}\" }}\n", node.id(), node.addr()));
    let text = if nodes.is_empty() {
        "[]\n".to_owned()
    } else {
        rows.collect()
    };
    put(file, &text);
}

fn put(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_a_file_follow_its_content_and_a_broken_one_changes_nothing() {
    let (folder, all) = (tempfile::tempdir().unwrap(), daemons(2).await);
    let file = folder.path().join("nodes.yaml");
    write(&file, &[&all[0]]);
    let filed = looking(&format!("  file: {}\n", file.display()), "").await;
    become_members(&filed.gateway, &["n1"]).await;
    write(&file, &[&all[0], &all[1]]);
    become_members(&filed.gateway, &["n1", "n2"]).await;
    for broken in ["- 10.0.0.1:x\n", "nodes: [\n", ""] {
        put(&file, broken);
        become_up(&filed.gateway, false).await;
        assert_eq!(members(&filed.gateway).len(), 2, "{broken:?}");
        works(&filed.gateway).await;
        write(&file, &[&all[0], &all[1]]);
        become_up(&filed.gateway, true).await;
    }
    std::fs::remove_file(&file).unwrap();
    become_up(&filed.gateway, false).await;
    assert_eq!(members(&filed.gateway).len(), 2, "no file is no list");
    write(&file, &[]);
    become_members(&filed.gateway, &[]).await;
    become_up(&filed.gateway, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_and_goes_is_held_back_and_the_others_are_not() {
    let (folder, all) = (tempfile::tempdir().unwrap(), daemons(3).await);
    let file = folder.path().join("nodes.yaml");
    let (steady, flapping, late) = (&all[0], &all[1], &all[2]);
    write(&file, &[steady, flapping]);
    let source = format!("  file: {}\n  damping: 1h\n", file.display());
    let filed = looking(&source, "").await;
    for _ in 0..2 {
        become_members(&filed.gateway, &["n1", "n2"]).await;
        write(&file, &[steady]);
        become_members(&filed.gateway, &["n1"]).await;
        write(&file, &[steady, flapping]);
    }
    become_members(&filed.gateway, &["n1", "n2"]).await;
    write(&file, &[steady]);
    become_members(&filed.gateway, &["n1"]).await;
    write(&file, &[steady, flapping, late]);
    become_members(&filed.gateway, &["n1", "n3"]).await;
    // Held back, unless nobody else is left.
    write(&file, &[flapping]);
    become_members(&filed.gateway, &["n2"]).await;
    eventually("it serves", async || {
        works(&filed.gateway).await;
        all[0].ledger().per_node().contains_key("n2")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_of_the_pool_holds_for_nodes_that_are_found_and_their_own_goes_before_it() {
    let (folder, all) = (tempfile::tempdir().unwrap(), daemons(2).await);
    let file = folder.path().join("nodes.yaml");
    let own = format!(
        "- {{ id: n1, address: \"{}\" }}\n- {{ id: n2, address: \"{}\", max_in_flight: 1 }}\n",
        all[0].addr(),
        all[1].addr()
    );
    put(&file, &own);
    let source = format!("  file: {}\n", file.display());
    for (cap, expected) in [("max_in_flight: 3\n", Some(3)), ("", None)] {
        let filed = looking(&source, cap).await;
        become_members(&filed.gateway, &["n1", "n2"]).await;
        assert_eq!(node(&filed.gateway, "n1").total_places(), expected);
        assert_eq!(node(&filed.gateway, "n2").total_places(), Some(1));
        let pool = &filed.gateway.embedded.live().snapshot().pools()[0].clone();
        assert!(pool.waiting.is_some(), "for n2's sake somebody may wait");
        works(&filed.gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_request_keeps_its_rules_and_does_not_go_on_asking_for_members() {
    let (folder, all) = (tempfile::tempdir().unwrap(), daemons(2).await);
    let file = folder.path().join("nodes.yaml");
    write(&file, &[&all[0]]);
    let source = format!("  file: {}\n", file.display());
    let filed = looking(&source, "").await;
    become_members(&filed.gateway, &["n1"]).await;
    // As a request does that runs for ten minutes.
    let pinned = filed.gateway.embedded.live().snapshot();
    let pool = Arc::clone(&pinned.pools()[0]);
    let looks = async || Arc::strong_count(&pool) > 2;
    assert!(looks().await, "somebody looks for members of the pool");
    filed.take(&yaml(&source, "strategy: round_robin\n")).await;
    eventually("nobody does any more", async || !looks().await).await;
    assert_eq!(pool.nodes().len(), 1, "it has what it had");
    write(&file, &[&all[0], &all[1]]);
    become_members(&filed.gateway, &["n1", "n2"]).await;
    assert_eq!(pool.nodes().len(), 1);
}
