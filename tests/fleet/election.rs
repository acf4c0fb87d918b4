//! Who leads, when the leader is cut off, frozen or killed? Three gateways in processes of their own.

use crate::redis::Server;
use crate::rig::daemons;
use crate::support::eventually;
use crate::support::gateway::yaml;
use crate::support::program::Serving;
use crate::wire::{Mood, Wire};
use serde_json::Value;
use std::time::{Duration, Instant};
use twolane::model::clock;

/// For so long a leader is away: five times as long as its word holds.
const AWAY: Duration = Duration::from_secs(10);

struct Candidate {
    wire: Wire,
    gateway: Serving,
    _folder: tempfile::TempDir,
}

impl Candidate {
    async fn says(&self) -> Value {
        let page = self.gateway.ask("/cluster/master").await;
        page.map_or(Value::Null, |page| page.json())
    }

    async fn leads(&self) -> bool {
        self.says().await["self"] == true
    }
}

/// Who of them leads. Two may say so one after the other; never one before and after another.
async fn leader(of: &[&Candidate]) -> Option<usize> {
    let mut found = None;
    for (at, one) in of.iter().enumerate() {
        if one.leads().await {
            if let Some(first) = found {
                let still: &Candidate = of[first];
                assert!(!still.leads().await, "two lead");
            }
            found = Some(at);
        }
    }
    found
}

/// Waits for another leader among the rest, and then until `AWAY` has passed; returns its place and
/// its term.
async fn replaced(name: &str, rest: &[&Candidate], (began, before): (Instant, u64)) -> usize {
    eventually("another one leads", async || leader(rest).await.is_some()).await;
    println!("{name}: replaced after {:?}", began.elapsed());
    let next = leader(rest).await.unwrap();
    let term = rest[next].says().await["fence"].as_u64().unwrap();
    assert!(term > before, "{name}: each term is higher");
    eventually("it has been away for long", async || {
        let leads = leader(rest).await;
        assert!(
            leads.is_none_or(|at| at == next),
            "{name}: nobody else leads"
        );
        began.elapsed() >= AWAY
    })
    .await;
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn f063_a_leader_that_is_cut_off_frozen_or_killed_is_replaced_and_never_acts_again() {
    let (redis, nodes) = (Server::start().await, daemons(1).await);
    let places: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let mut all = Vec::new();
    for _ in 0..3 {
        let wire = Wire::to(redis.address()).await;
        let share = format!("share: {{ redis: \"{}\", interval: 100ms }}\n", wire.url());
        let folder = tempfile::tempdir().unwrap();
        let gateway = Serving::with_file(folder.path(), &yaml(&places, &share)).await;
        all.push(Candidate {
            wire,
            gateway,
            _folder: folder,
        });
    }
    let three: Vec<_> = all.iter().collect();
    eventually("one of three leads", async || {
        leader(&three).await.is_some()
    })
    .await;
    let mut first = leader(&three).await.unwrap();
    for name in ["cut off", "frozen", "killed"] {
        let term = all[first].says().await["fence"].as_u64().unwrap();
        let began = clock::now();
        match name {
            "cut off" => all[first].wire.set(Mood::Silent),
            "frozen" => all[first].gateway.program.signal("STOP"),
            _ => all[first].gateway.program.signal("KILL"),
        }
        let rest: Vec<_> = (0..3).filter(|at| *at != first).collect();
        let others: Vec<_> = match name {
            // Who is cut off still answers: it must not say that it leads.
            "cut off" => (0..3).map(|at| &all[at]).collect(),
            _ => rest.iter().map(|at| &all[*at]).collect(),
        };
        eventually("nobody leads, or another one", async || {
            leader(&others)
                .await
                .is_none_or(|at| name != "cut off" || at != first)
        })
        .await;
        let rest_of: Vec<_> = rest.iter().map(|at| &all[*at]).collect();
        let next = rest[replaced(name, &rest_of, (began, term)).await];
        if name == "cut off" {
            assert!(
                !all[first].leads().await,
                "it knows that its word has ended"
            );
            all[first].wire.set(Mood::Plain);
        } else if name == "frozen" {
            all[first].gateway.program.signal("CONT");
            // Its own clock has gone on: it knows at once.
            assert!(!all[first].leads().await, "two lead");
        }
        if name != "killed" {
            let says = all[next].says().await;
            eventually("who was away follows", async || {
                leader(&three).await == Some(next)
                    && all[first].says().await["leader"] == says["leader"]
            })
            .await;
        }
        first = next;
    }
}
