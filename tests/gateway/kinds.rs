//! Requests are told apart by method and path, and each kind gets what it needs.

use crate::daemons;
use crate::support::client::Dify;
use crate::support::gateway::{Gateway, parse};
use crate::support::within;
use serde_json::json;
use std::collections::HashSet;
use twolane::demo::daemon::{Daemon, Settings, World};

async fn before(nodes: &[Daemon], more: &str) -> Gateway {
    let all: Vec<_> = nodes.iter().collect();
    Gateway::before(&all, more).await
}

/// The nodes that saw a path.
fn saw(nodes: &[Daemon], part: &str) -> HashSet<String> {
    let seen = nodes.iter().filter(|node| {
        let requests = node.requests();
        requests.iter().any(|request| request.target.contains(part))
    });
    seen.map(|node| node.id().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f049_a_tenants_writing_calls_meet_on_one_node_and_tenants_are_spread() {
    let nodes = daemons(4).await;
    let gateway = before(&nodes, "").await;
    let mut homes = HashSet::new();
    for tenant in 0..20 {
        let base = format!("/plugin/tenant-{tenant}/management");
        for call in ["uninstall", "install/upgrade", "install/identifiers"] {
            let target = format!("{base}/{call}");
            within("an answer", gateway.dify().post(&target, &json!({}))).await;
        }
        let home = saw(&nodes, &format!("{base}/"));
        assert_eq!(home.len(), 1, "tenant {tenant} was written to on {home:?}");
        homes.extend(home);
    }
    assert!(homes.len() > 1, "all tenants ended up on {homes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f252_f263_what_articles_invent_gets_the_daemons_own_404() {
    let nodes = daemons(2).await;
    let gateway = before(&nodes, "").await;
    for (method, target) in [
        ("POST", "/invoke/langgenius-openai"),
        ("POST", "/internal/preload"),
        ("GET", "/internal/plugins"),
        ("POST", "/internal/sync"),
    ] {
        let through = gateway.dify().raw(method, target, &[], b"").await.unwrap();
        let direct = Dify::new(nodes[0].addr(), None);
        let direct = direct.raw(method, target, &[], b"").await.unwrap();
        assert_eq!(through.status, 404, "{target}");
        assert_eq!(through.text(), direct.text(), "{target}: untouched");
        assert!(through.header("X-Twolane-Error").is_none(), "not ours");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_writer_moves_when_its_node_is_out_and_comes_home() {
    let nodes = daemons(3).await;
    let gateway = before(&nodes, "health: { enabled: false }\n").await;
    let write = async |gateway: &Gateway| {
        let target = "/plugin/t1/management/uninstall";
        let answer = gateway.dify().post(target, &json!({})).await;
        answer.header("X-Twolane-Node").unwrap().to_owned()
    };
    let home = write(&gateway).await;
    let live = gateway.embedded.live().snapshot().nodes();
    let node = live.iter().find(|node| node.id().as_str() == home).unwrap();
    node.set_healthy(false);
    let away = write(&gateway).await;
    assert_ne!(away, home);
    assert_eq!(
        write(&gateway).await,
        away,
        "the next one is always the same"
    );
    node.set_healthy(true);
    assert_eq!(write(&gateway).await, home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_stays_on_one_node_where_that_is_wanted_and_moves_when_it_must() {
    for sticky in [true, false] {
        let nodes = daemons(4).await;
        let rules = format!(
            "health: {{ enabled: false }}\nkinds: {{ hook: {{ sticky: {sticky} }} }}\nstrategy: round_robin\n"
        );
        let gateway = before(&nodes, &rules).await;
        let call = async |hook: usize| {
            let target = format!("/e/hook{hook}/x");
            let answer = within("an answer", gateway.dify().post(&target, &json!({}))).await;
            answer.header("X-Twolane-Node").unwrap().to_owned()
        };
        let mut homes = HashSet::new();
        for hook in 0..12 {
            let mut seen = HashSet::new();
            for _ in 0..6 {
                seen.insert(call(hook).await);
            }
            assert_eq!(seen.len() == 1, sticky, "hook {hook} was on {seen:?}");
            homes.extend(seen);
        }
        assert!(homes.len() > 1, "all hooks ended up on {homes:?}");
        if sticky {
            let home = call(0).await;
            let live = gateway.embedded.live().snapshot().nodes();
            let node = live.iter().find(|node| node.id().as_str() == home).unwrap();
            node.set_healthy(false);
            assert_ne!(call(0).await, home, "its node is out");
            node.set_healthy(true);
            assert_eq!(call(0).await, home, "and is back");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f163_the_daemons_own_pages_are_denied_unless_allowed() {
    let nodes = daemons(1).await;
    let gateway = before(&nodes, "").await;
    for path in [
        "/metrics/",
        "/debug/pprof/heap",
        "/admin/plugin/serverless/reinstall",
    ] {
        let answer = gateway.dify().get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("X-Twolane-Error"), Some("denied"), "{path}");
        assert_eq!(answer.text().lines().count(), 1, "{path}");
    }
    assert!(saw(&nodes, "/metrics").is_empty());
    let gateway = before(&nodes, "kinds: { denied: [] }\n").await;
    let answer = gateway.dify().get("/admin/x").await;
    assert_eq!(
        answer.header("X-Twolane-Error"),
        None,
        "it is the node's no"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_over_ten_mebibytes_is_refused_where_the_daemon_would_cut_it_off() {
    let nodes = daemons(1).await;
    let gateway = before(&nodes, "").await;
    let dify = gateway.dify();
    let announced = [("Content-Length", "10485761")];
    let stream = dify
        .open_raw("POST", "/e/hook/x", &announced, b"")
        .await
        .unwrap();
    let answer = within("an answer", stream.whole()).await.unwrap();
    assert_eq!(answer.status, 413);
    let fits = vec![b'x'; 10 << 20];
    let answer = dify.raw("POST", "/e/hook/x", &[], &fits).await.unwrap();
    assert_eq!(answer.status, 200, "exactly the limit passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_is_empty_here_is_fetched_from_the_node_that_has_it() {
    let shared = World::default();
    let there = World::default();
    there.put_asset("logo.png", &b"a picture"[..]);
    let nodes = [
        Daemon::start(Settings::named("n1", &shared)).await.unwrap(),
        Daemon::start(Settings::named("n2", &there)).await.unwrap(),
    ];
    let gateway = before(&nodes, "strategy: seed\n").await;
    let dify = gateway.dify();
    for _ in 0..3 {
        let answer = dify.get("/plugin/t/asset/logo.png").await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, &b"a picture"[..])
        );
    }
    let answer = dify.get("/plugin/t/asset/nowhere.png").await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (200, 0),
        "what no node has stays empty"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_forwards_everything_as_it_came() {
    let nodes = daemons(1).await;
    let text = std::fs::read_to_string("conf/examples/plain.yaml").unwrap();
    let text = text.replace("127.0.0.1:6001", &format!("\"{}\"", nodes[0].addr()));
    let gateway = Gateway::start(parse(&format!(
        "{text}listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\n"
    )))
    .await;
    let direct = Dify::new(nodes[0].addr(), None);
    for path in ["/health/check", "/metrics/", "/e/hook/x", "/nothing"] {
        let through = gateway.dify().get(path).await;
        assert_eq!(through.status, direct.get(path).await.status, "{path}");
    }
    let seen = nodes[0].requests();
    let marked = seen.iter().filter(|request| {
        !request.values("Via").is_empty() || !request.values("X-Plugin-Forwarded").is_empty()
    });
    assert_eq!(marked.count(), 0, "no mark of ours reaches the node");
}
