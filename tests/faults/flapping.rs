//! What a sick node writes into the log of the real program.

use crate::load::{CALLERS, UNCHECKED, daemons};
use crate::support::client::Dify;
use crate::support::gateway::yaml;
use crate::support::program::Serving;
use crate::support::within;
use crate::{PLUGIN, alone, sim};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Stop};
use twolane::model::clock;

async fn before(nodes: &[Daemon], more: &str) -> (TempDir, Serving) {
    let named: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::with_file(folder.path(), &yaml(&named, more)).await;
    (folder, serving)
}

/// Lines of the log about the first node, by what they say.
fn lines(serving: &Serving, words: &str) -> usize {
    let log = serving.program.log();
    let about = |line: &&str| line.contains(words) && line.contains("n1");
    log.lines().filter(about).count()
}

/// How they end is the business of other tests.
async fn call(dify: &Dify) {
    let _ = within("an end", dify.all("tool/invoke", PLUGIN, sim(json!({})))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_in_vain_all_the_time_is_one_line_a_second() {
    let _alone = alone().await;
    let nodes = daemons(2).await;
    nodes[0].stop(Stop::Cut).await;
    // Neither checks nor strikes keep requests away.
    let rules = format!("{UNCHECKED}cooldown: {{ max_fails: 0 }}\nstrategy: round_robin\n");
    let (_folder, serving) = before(&nodes, &rules).await;
    let began = clock::now();
    let dify = serving.dify();
    for _ in 0..1000 {
        call(&dify).await;
    }
    let last = "untold=";
    serving.program.line(last).await;
    let written = lines(&serving, "node not reached");
    let seconds = clock::now().duration_since(began).as_secs();
    println!("row \"asked in vain\": {written} lines in {seconds} s for 1000 calls");
    assert!(
        (1..=seconds + 1).contains(&(written as u64)),
        "{written} lines in {seconds} s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_flap_of_a_node_is_a_handful_of_lines() {
    const FLAPS: usize = 5;
    let _alone = alone().await;
    let nodes = daemons(3).await;
    let checks = "health: { interval: 100ms, timeout: 400ms, fall: 2 }\n";
    let (_folder, serving) = before(&nodes, checks).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for _ in 0..CALLERS {
        let (dify, over) = (serving.dify(), Arc::clone(&over));
        load.spawn(async move {
            while !over.load(Ordering::Acquire) {
                call(&dify).await;
            }
        });
    }
    for flap in 1..=FLAPS {
        let says = async |words: &str| {
            crate::support::eventually(words, async || lines(&serving, words) >= flap).await;
        };
        nodes[0].stop(Stop::Cut).await;
        says("becomes unhealthy").await;
        nodes[0].restart().await.unwrap();
        says("becomes healthy").await;
    }
    over.store(true, Ordering::Release);
    load.join_all().await;
    // A call that was lost is told each time, and there are few.
    let lost = lines(&serving, "attempt ended");
    let told = lines(&serving, "") - lost;
    println!("row \"flaps\": {told} lines in {FLAPS} flaps, and {lost} for calls that were lost");
    assert!(
        told <= 6 * FLAPS,
        "down, up, a rest and one line a second, not {told} lines: {}",
        serving.program.log()
    );
}
