//! What is one lane of the race? Three stand-in daemons and a production gateway under one
//! strategy.

use super::CLOCK;
use super::board::{Board, Learned, Result as CallResult, Summary};
use super::caller::Caller;
use super::daemon::{Daemon, Plugin, Settings, Stop, World};
use super::trace::{COMPUTING, Trace};
use crate::admin;
use crate::config;
use crate::model::{Class, clock};
use crate::server::{Embedded, Options, known};
use crate::upstream::Live;
use http::Method;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const NODES: usize = 3;

#[derive(Debug)]
pub(super) struct Lane {
    strategy: &'static str,
    gateway: Embedded,
    caller: Arc<Caller>,
    board: Arc<Board>,
    nodes: Vec<Daemon>,
    /// The second node is dead.
    dead: AtomicBool,
}

impl Lane {
    pub(super) async fn open(strategy: &'static str) -> io::Result<Self> {
        let world = World::default();
        let mut nodes = Vec::new();
        for n in 1..=NODES {
            nodes.push(
                Daemon::start(Settings {
                    clock_scale: 1.0 / CLOCK,
                    plugins: COMPUTING.map(Plugin::blocking).to_vec(),
                    ..Settings::named(&format!("node-{n}"), &world)
                })
                .await?,
            );
        }
        let loaded = config::load(&yaml(strategy, &nodes), "demo", &known(), &|_| None);
        let config = loaded.map_err(|problems| io::Error::other(problems.to_string()))?;
        let gateway = Embedded::start(config, Options::default()).await?;
        Ok(Self {
            strategy,
            caller: Arc::new(Caller::new(gateway.data())),
            gateway,
            board: Arc::new(Board::new(strategy)),
            nodes,
            dead: AtomicBool::new(false),
        })
    }

    pub(super) const fn live(&self) -> &Arc<Live> {
        self.gateway.live()
    }

    pub(super) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    pub(super) const fn admin(&self) -> SocketAddr {
        self.gateway.admin()
    }

    /// The path of the page that shows most.
    pub(super) async fn page(&self) -> &'static str {
        const DASHBOARD: &str = "/ui/";
        match admin::ask(self.admin(), None, Method::GET, DASHBOARD, "").await {
            Ok((200, _)) => DASHBOARD,
            _ => "/cluster/stats",
        }
    }

    /// Kills the second node, and starts it again; nothing where it is dead already.
    pub(super) async fn lose_a_node(
        self: Arc<Self>,
        [dead, back]: [Duration; 2],
    ) -> io::Result<()> {
        let node = &self.nodes[1];
        tokio::time::sleep(dead).await;
        if self.dead.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.board.note_kill(clock::now());
        node.stop(Stop::Cut).await;
        tokio::time::sleep(back - dead).await;
        let back = node.restart().await;
        self.dead.store(false, Ordering::Relaxed);
        back
    }

    /// Sends every call at its intended time, whatever became of the others.
    pub(super) async fn race(self: Arc<Self>, trace: Arc<Trace>) {
        let start = tokio::time::Instant::from_std(clock::now());
        let mut calls = JoinSet::new();
        for (id, call) in trace.calls.iter().enumerate() {
            let due = start + call.at.div_f64(CLOCK);
            tokio::time::sleep_until(due).await;
            let (caller, board) = (Arc::clone(&self.caller), Arc::clone(&self.board));
            let (kind, class, body) = (call.kind, call.class(), call.body(id));
            let early = call.at < trace.burst;
            board.begin();
            let sent = clock::now();
            calls.spawn(async move {
                let answer = caller.call(kind.op, kind.plugin, &body).await;
                let took = due.elapsed().mul_f64(CLOCK);
                board.end(CallResult {
                    class,
                    early,
                    sent,
                    took,
                    answer,
                });
            });
        }
        while calls.join_next().await.is_some() {}
    }

    pub(super) fn summary(&self) -> Summary {
        self.board.summary(self.strategy, self.learned())
    }

    /// The operations that the gateway knows well enough by now.
    pub(super) fn learned(&self) -> Vec<Learned> {
        let view = self.gateway.live().learner.view(usize::MAX, clock::now());
        view.into_iter()
            .filter(|row| row.key.matches('|').count() >= 2 && row.basis == "learned")
            .map(|row| Learned {
                operation: row.key,
                class: if row.long { Class::Long } else { Class::Short },
                score_s: row.score_ms / 1e3 * CLOCK,
                samples: row.total,
            })
            .collect()
    }
}

fn yaml(strategy: &str, nodes: &[Daemon]) -> String {
    let threshold = Duration::from_secs(5).div_f64(CLOCK).as_millis();
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| format!("  - {{ id: {}, address: \"{}\" }}", node.id(), node.addr()))
        .collect();
    format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nstrategy: {strategy}\n\
         learn: {{ long_threshold: {threshold}ms }}\ndebug: {{ headers: true }}\nnodes:\n{}\n",
        nodes.join("\n")
    )
}
