//! What the operator sees, and who may look.

use crate::support::client::{Dify, expect_events};
use crate::support::filed::Filed;
use crate::support::gateway::{Gateway, yaml};
use crate::support::stream::Response;
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Health, Stop};
use twolane::learn::Classifier;
use twolane::model::{Operation, Sample, clock};

const GUARDED: &str = "admin: { listen: 127.0.0.1:0, token: s3cret }\n";
const PAGES: [&str; 6] = [
    "/health",
    "/status",
    "/cluster/nodes",
    "/cluster/stats",
    "/cluster/master",
    "/metrics",
];

async fn behind(count: usize, more: &str) -> (Vec<Daemon>, Gateway) {
    let nodes = daemons(count).await;
    let gateway = Gateway::before(&nodes.iter().collect::<Vec<_>>(), more).await;
    (nodes, gateway)
}

fn sick() -> Health {
    Health {
        status: 500,
        ..Health::default()
    }
}

/// The row of one node on `/cluster/nodes`.
async fn row(gateway: &Gateway, id: &str) -> Value {
    let page = gateway.admin("/cluster/nodes").await.json();
    let rows = page["nodes"].as_array().cloned().unwrap_or_default();
    let row = rows.into_iter().find(|row| row["id"] == id);
    row.expect("every configured node is on the page")
}

async fn call(gateway: &Gateway, times: usize) {
    let dify = gateway.dify();
    for _ in 0..times {
        let answer = dify.all("tool/invoke", PLUGIN, sim(json!({})));
        expect_events(within("an answer", answer).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f079_nodes_have_every_field_and_a_killed_one_is_shown_as_down() {
    let (nodes, gateway) = behind(3, "").await;
    let page = gateway.admin("/cluster/nodes").await;
    assert_eq!(page.status, 200, "the page is there");
    assert!(
        page.header("Content-Type")
            .is_some_and(|kind| kind.starts_with("application/json")),
        "the page is JSON and says so"
    );
    let rows = page.json()["nodes"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 3, "every node has one row");
    for (row, node) in rows.iter().zip(&nodes) {
        assert_eq!(row["id"], node.id(), "rows stand in the configured order");
        let expected = json!({
            "id": node.id(), "address": node.addr().to_string(), "pool": "main",
            "role": "secondary", "weight": 1, "state": "ready", "status": "up", "checked": true,
            "in_flight": {"short": 0, "long": 0, "total": 0}, "expected_idle_in_s": 0.0, "beyond": 0, "resting_ms": 0.0,
            "is_working": false, "is_long_request": false, "served": 0, "failed": 0,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&row[field], value, "{field} of an idle node");
        }
    }
    nodes[1].stop(Stop::Cut).await;
    eventually("the killed node is down on the page", async || {
        row(&gateway, "n2").await["status"] == "down"
    })
    .await;
    assert_eq!(
        row(&gateway, "n1").await["status"],
        "up",
        "its neighbour is not blamed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f048_f079_the_page_shows_who_is_idle_who_works_short_and_who_works_long() {
    let pins = "learn: { pins: [{ operation: \"llm/*\", class: long }, \
                { operation: \"*\", class: short }] }\n";
    let (nodes, gateway) = behind(1, pins).await;
    let dify = gateway.dify();
    let hang = || sim(json!({"fail": "hang"}));
    let short = dify.open("tool/invoke", PLUGIN, hang()).await.unwrap();
    within(
        "it runs",
        nodes[0].until(|node| node.active_dispatch() == 1),
    )
    .await;
    let working = row(&gateway, "n1").await;
    assert_eq!(working["is_working"], true, "a short request is work");
    assert_eq!(working["is_long_request"], false, "and it is not long");
    assert_eq!(working["in_flight"]["short"], 1, "it counts as short");
    let long = dify.open("llm/invoke", PLUGIN, hang()).await.unwrap();
    within(
        "both run",
        nodes[0].until(|node| node.active_dispatch() == 2),
    )
    .await;
    let both = row(&gateway, "n1").await;
    assert_eq!(both["is_long_request"], true, "a long request is shown");
    assert_eq!(
        both["in_flight"],
        json!({"short": 1, "long": 1, "total": 2}),
        "both are counted, each in its class"
    );
    let page = gateway.metrics().await;
    for class in ["short", "long"] {
        let series = format!("twolane_node_in_flight{{class=\"{class}\",node=\"n1\"}}");
        assert_eq!(page.get(&series), Some(1.0), "{series} says the same");
    }
    drop((short, long));
    within(
        "both are gone",
        gateway.until(|gateway| gateway.in_flight() == 0),
    )
    .await;
    assert_eq!(
        row(&gateway, "n1").await["is_working"],
        false,
        "a client that left frees the node"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f080_stats_count_calls_and_take_top_and_prefix() {
    let (_nodes, gateway) = behind(2, "").await;
    call(&gateway, 3).await;
    let other = gateway.dify();
    expect_events(other.all("llm/invoke", PLUGIN, json!({"model": "m"})).await);
    let stats = async |query: &str| {
        let page = gateway.admin(&format!("/cluster/stats{query}")).await;
        assert_eq!(page.status, 200, "{query} is understood");
        page.json()
    };
    eventually("the last call is learned", async || {
        let rows = stats("?prefix=llm").await;
        rows["endpoints"][0]["total"] == 1
    })
    .await;
    let page = stats("").await;
    assert_eq!(page["threshold_ms"], 5000.0, "the seed's threshold");
    assert_eq!(page["window"], 5, "the seed's window");
    let keys = |page: &Value| {
        let rows = page["endpoints"].as_array().unwrap();
        let of = |row: &Value| {
            (
                row["key"].as_str().unwrap().to_owned(),
                row["total"].clone(),
            )
        };
        rows.iter().map(of).collect::<Vec<_>>()
    };
    let found = keys(&page);
    for key in ["tool/invoke", "tool/invoke|langgenius/openai"] {
        assert!(
            found.contains(&(key.to_owned(), json!(3))),
            "three calls are a total of three under {key}: {found:?}"
        );
    }
    assert_eq!(
        keys(&stats("?top=1").await).len(),
        1,
        "top cuts the list to one row"
    );
    let narrow = keys(&stats("?prefix=tool/invoke|langgenius").await);
    assert!(
        narrow.len() < found.len() && !narrow.is_empty(),
        "a prefix leaves some rows and drops some: {narrow:?}"
    );
    assert!(
        narrow
            .iter()
            .all(|(key, _)| key.starts_with("tool/invoke|langgenius")),
        "and only rows that begin with it: {narrow:?}"
    );
    assert_eq!(
        keys(&stats("?prefix=tool%2Finvoke%7Clanggenius").await),
        narrow,
        "clients that encode the prefix mean the same rows"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f080_a_prefix_that_is_no_code_ends_nothing() {
    let (_nodes, gateway) = behind(1, "").await;
    for odd in ["%", "%7", "%zz", "%+7", "%é"] {
        let answer = gateway.admin(&format!("/cluster/stats?prefix={odd}")).await;
        assert!(
            answer.status < 500,
            "{odd} is answered, not with {}",
            answer.status
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f080_a_top_that_is_no_number_is_refused_with_a_sentence() {
    let (_nodes, gateway) = behind(1, "").await;
    for query in ["?top=many", "?top=-1", "?prefix=a&top="] {
        let page = gateway.admin(&format!("/cluster/stats{query}")).await;
        assert_eq!(page.status, 400, "{query} is refused");
        assert!(
            page.text().contains("top is not a number"),
            "{query} is answered with what is wrong: {}",
            page.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f081_a_gateway_alone_leads_and_names_the_primary() {
    let (nodes, gateway) = behind(2, "").await;
    let page = gateway.admin("/cluster/master").await.json();
    let status = gateway.admin("/status").await.json();
    assert_eq!(page["leader"], status["gateway"], "it leads itself");
    assert_eq!(page["self"], true, "and knows it");
    assert_eq!(
        page["primary_node"],
        Value::Null,
        "no node was called primary"
    );
    let roles = format!(
        "nodes:\n  - {{ id: n1, address: \"{}\" }}\n  - {{ id: n2, address: \"{}\", role: primary }}\n",
        nodes[0].addr(),
        nodes[1].addr()
    );
    let gateway = Gateway::before(&[], &roles).await;
    let page = gateway.admin("/cluster/master").await.json();
    assert_eq!(
        page["primary_node"], "n2",
        "the configured primary is named"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f082_f083_the_data_port_leaves_the_operators_paths_to_the_node() {
    let (nodes, gateway) = behind(1, "").await;
    let direct = Dify::new(nodes[0].addr(), None);
    for path in ["/cluster/nodes", "/status", "/plugins/invoke"] {
        let (through, expected) = (gateway.dify().get(path).await, direct.get(path).await);
        assert_eq!(expected.status, 404, "the node does not know {path}");
        assert_eq!(through.status, 404, "and the client hears it: {path}");
        assert_eq!(
            through.text(),
            expected.text(),
            "in the node's own words: {path}"
        );
    }
    let posted = json!({"plugin_id": "test", "method": "run"});
    let (through, expected) = (
        gateway.dify().post("/plugins/invoke", &posted).await,
        direct.post("/plugins/invoke", &posted).await,
    );
    assert_eq!(
        (through.status, through.text()),
        (404, expected.text()),
        "the seed's test call is answered by the node"
    );
    assert_eq!(
        gateway.admin("/cluster/nodes").await.status,
        200,
        "the admin port has the page"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f091_readiness_follows_the_nodes_and_liveness_does_not() {
    let (nodes, gateway) = behind(2, "").await;
    let ready = gateway.admin("/readyz").await;
    assert_eq!(ready.status, 200, "two healthy nodes are enough");
    assert_eq!(
        ready.json(),
        json!({"ready": true, "first_checks_over": true, "draining": false,
               "nodes": 2, "healthy_nodes": 2}),
        "and it says why"
    );
    nodes.iter().for_each(|node| node.set_health(sick()));
    eventually("not ready", async || {
        gateway.admin("/readyz").await.status == 503
    })
    .await;
    let body = gateway.admin("/readyz").await.json();
    assert_eq!(body["ready"], false, "the body agrees with the status");
    assert_eq!(body["healthy_nodes"], 0, "because nobody is healthy");
    assert_eq!(
        gateway.admin("/livez").await.status,
        200,
        "a restart would not heal the nodes, so it stays alive"
    );
    let health = gateway.admin("/health").await;
    assert_eq!(health.status, 503, "a pool has nobody");
    assert_eq!(
        health.json()["status"],
        "degraded",
        "and does not gloss over"
    );
    nodes[0].set_health(Health::default());
    eventually("ready again", async || {
        gateway.admin("/readyz").await.status == 200
    })
    .await;
    let health = gateway.admin("/health").await.json();
    assert_eq!(health["status"], "ok", "one healthy node is enough");
    let timestamp = health["timestamp"].as_str().unwrap();
    assert!(
        timestamp.ends_with('Z') && timestamp.contains('T'),
        "the time is of the world's kind: {timestamp}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f091_the_data_port_answers_probes_itself_in_the_daemons_shape() {
    let (nodes, gateway) = behind(2, "health: { interval: 1h }\n").await;
    let asked = || nodes.iter().map(Daemon::health_checks).sum::<u64>();
    // Two checks of each node belong to the start; the next ones come in an hour.
    within("the first checks", nodes[0].world().until(|| asked() == 4)).await;
    let answer = gateway.dify().get("/health/check").await;
    assert_eq!(answer.status, 200, "the gateway is well");
    let body = answer.json();
    assert_eq!(body["status"], "ok", "in the daemon's word");
    assert_eq!(
        body["nodes"],
        json!({"healthy": 2, "total": 2}),
        "and it says of how many nodes it speaks"
    );
    assert_eq!(asked(), 4, "no node was asked for it");
    for node in &nodes {
        node.set_health(sick());
    }
    for _ in 0..2 {
        gateway.embedded.live().parts.checks.round().await;
    }
    let answer = gateway.dify().get("/health/check").await;
    assert_eq!(answer.status, 503, "with no healthy node it is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn f001_status_tells_what_this_gateway_is() {
    let (nodes, gateway) = behind(2, "").await;
    let held = gateway
        .dify()
        .open("tool/invoke", PLUGIN, sim(json!({"fail": "hang"})))
        .await
        .unwrap();
    let active = || nodes.iter().map(Daemon::active_dispatch).sum::<u64>();
    within("it runs", nodes[0].world().until(|| active() == 1)).await;
    let status = gateway.admin("/status").await.json();
    assert_eq!(status["redis"], "disabled", "nothing is shared");
    assert_eq!(status["ready"], true, "it is ready");
    assert_eq!(status["draining"], false, "and not about to end");
    assert_eq!(status["open_requests"], 1, "one request is inside");
    assert_eq!(status["config_version"], 1, "nothing was reloaded");
    assert_eq!(status["long_threshold_ms"], 5000.0, "the seed's threshold");
    assert_eq!(
        status["pools"],
        json!([{"name": "main", "strategy": "adaptive", "nodes": 2,
                "healthy_nodes": 2, "in_flight": 1, "waiting": null,
                "advice": "plugin_caps: too few requests met others of their plugin to say anything"}]),
        "the pool's row says who works"
    );
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn f048_f253_the_metrics_show_nodes_requests_and_the_published_alerts_name() {
    let (nodes, gateway) = behind(2, "").await;
    call(&gateway, 4).await;
    // A request is counted when it is over, which is after its client has the last byte.
    eventually("all four are counted", async || {
        let page = gateway.metrics().await;
        page.sum("twolane_requests_total", &[]) >= 4.0
    })
    .await;
    let page = gateway.metrics().await;
    for family in ["twolane_node_up", "plugin_daemon_healthy"] {
        for node in ["n1", "n2"] {
            let series = format!("{family}{{node=\"{node}\"}}");
            assert_eq!(page.get(&series), Some(1.0), "{series} is up");
        }
    }
    assert_eq!(
        page.sum("twolane_requests_total", &["code=\"2xx\""]),
        4.0,
        "four calls were answered"
    );
    assert_eq!(
        page.sum("twolane_attempts_total", &["outcome=\"answered\""]),
        4.0,
        "with one attempt each"
    );
    assert_eq!(
        page.sum("twolane_request_duration_seconds_count", &[]),
        4.0,
        "each of them was timed"
    );
    assert_eq!(
        page.get("twolane_config_last_reload_successful"),
        Some(1.0),
        "the first configuration was taken"
    );
    nodes[1].stop(Stop::Cut).await;
    eventually("the alert's metric falls", async || {
        let page = gateway.metrics().await;
        page.get("plugin_daemon_healthy{node=\"n2\"}") == Some(0.0)
    })
    .await;
    let page = gateway.metrics().await;
    assert_eq!(
        page.get("twolane_node_up{node=\"n2\"}"),
        Some(0.0),
        "under both names"
    );
    assert_eq!(
        page.get("plugin_daemon_healthy{node=\"n1\"}"),
        Some(1.0),
        "and its neighbour is not blamed"
    );
}

/// Requests that a stranger sends: nothing that can be made up is what it was before.
async fn strangers(dify: &Dify, n: usize, methods: &[&str]) {
    let plugin = format!("author{n}/plugin{n}");
    let host = format!("host{n}.example");
    let target = format!("/plugin/tenant{n}/dispatch/tool/invoke");
    let json = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", &plugin),
        ("Host", &host),
    ];
    let body = json!({"user_id": format!("u{n}"), "data": {"tool": format!("t{n}")}}).to_string();
    let answer = dify.raw("POST", &target, &json, body.as_bytes()).await;
    assert_eq!(answer.unwrap().status, 200, "an unheard plugin is served");
    let hook = dify.get(&format!("/e/hook{n}/x")).await;
    assert_eq!(hook.status, 200, "an unheard hook is served");
    for method in methods {
        let target = format!("/nowhere/{n}?q={n}");
        let answer = dify.raw(method, &target, &[("Host", &host)], b"").await;
        let status = answer.unwrap().status;
        assert!(
            (400..500).contains(&status),
            "an unheard path is the node's to refuse, not {status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f048_ten_thousand_strangers_add_no_line_to_the_metrics() {
    const STRANGERS: usize = 2000;
    const CALLERS: usize = 8;
    let (_nodes, gateway) = behind(1, "").await;
    let counted = async |requests: usize| {
        eventually("all of them are counted", async || {
            let page = gateway.metrics().await;
            page.sum("twolane_requests_total", &[]) >= requests as f64
        })
        .await;
        gateway.metrics().await
    };
    let dify = gateway.dify();
    strangers(&dify, 0, &["GET", "PUT", "M0"]).await;
    let before = counted(5).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let dify = gateway.dify();
        callers.spawn(async move {
            for n in (1..=STRANGERS).filter(|n| n % CALLERS == caller) {
                let unheard = format!("M{n}");
                let methods = ["GET", ["PUT", "DELETE", "PATCH"][n % 3], &unheard];
                within("five answers", strangers(&dify, n, &methods)).await;
            }
        });
    }
    callers.join_all().await;
    let after = counted(5 * (STRANGERS + 1)).await;
    let new: Vec<_> = after
        .series()
        .difference(&before.series())
        .cloned()
        .collect();
    assert!(new.is_empty(), "clients made series: {new:?}");
}

/// Teaches the gateway that tool calls take a minute.
fn tools_take_a_minute(gateway: &Gateway) {
    let operation = Operation::new("tool/invoke");
    let sample = Sample {
        duration: Duration::from_secs(60),
        censored: false,
    };
    for _ in 0..5 {
        let learner = &gateway.embedded.live().learner;
        learner.learn(&operation, sample, clock::now());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f138_a_drain_tells_what_still_runs_and_until_when_if_that_is_known() {
    let (nodes, gateway) = behind(1, "health: { enabled: false }\n").await;
    tools_take_a_minute(&gateway);
    let admin = Dify::new(gateway.embedded.admin(), None);
    let hang = async |op: &str| {
        let before = nodes[0].active_dispatch();
        let script = sim(json!({"fail": "hang"}));
        let call = gateway.dify().open(op, PLUGIN, script).await;
        let runs = nodes[0].until(|node| node.active_dispatch() > before);
        within("it runs", runs).await;
        call.unwrap()
    };
    let _known = hang("tool/invoke").await;
    let wish = json!({"state": "drain"}).to_string();
    let put = admin.raw("PUT", "/api/v1/nodes/n1/state", &[], wish.as_bytes());
    let drained = within("an answer", put).await.unwrap().json();
    assert_eq!(
        (&drained["state"], &drained["in_flight"]["long"]),
        (&json!("drain"), &json!(1)),
        "what runs goes on"
    );
    let left = drained["expected_idle_in_s"].as_f64().unwrap();
    assert!(
        left > 0.0 && left <= 60.0,
        "no longer than it ever took: {left}"
    );
    let ready = json!({"state": "ready"}).to_string();
    let put = admin.raw("PUT", "/api/v1/nodes/n1/state", &[], ready.as_bytes());
    within("an answer", put).await.unwrap();
    let unknown = hang("llm/invoke").await;
    let row = row(&gateway, "n1").await;
    assert_eq!(row["in_flight"]["total"], 2, "one more runs");
    assert!(
        row["expected_idle_in_s"].is_null(),
        "nobody knows how long that one takes: {row}"
    );
    unknown.abort();
    within("it is gone", gateway.until(|it| it.in_flight() == 1)).await;
    let row = self::row(&gateway, "n1").await;
    assert!(row["expected_idle_in_s"].is_number(), "the rest is: {row}");
}

async fn with_authorization(gateway: &Gateway, path: &str, value: Option<&str>) -> Response {
    let headers: Vec<_> = value
        .iter()
        .map(|value| ("Authorization", *value))
        .collect();
    let admin = Dify::new(gateway.embedded.admin(), None);
    admin.raw("GET", path, &headers, b"").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f083_a_token_guards_everything_but_the_two_probes() {
    let (_nodes, gateway) = behind(1, GUARDED).await;
    let wrong = [
        None,
        Some("Bearer s3cre"),
        Some("Bearer s3crets"),
        Some("Basic s3cret"),
    ];
    for page in PAGES.iter().chain(&["/-/reload", "/nothing"]) {
        for value in wrong {
            let answer = with_authorization(&gateway, page, value).await;
            assert_eq!(answer.status, 401, "{page} opened for {value:?}");
            assert!(
                answer.header("WWW-Authenticate").is_some(),
                "a client is told what is wanted at {page}"
            );
            assert!(
                !answer.text().contains("s3cret"),
                "the answer must not give the token away"
            );
        }
    }
    for page in PAGES {
        let answer = with_authorization(&gateway, page, Some("Bearer s3cret")).await;
        assert_eq!(answer.status, 200, "{page} opens for the right token");
    }
    for probe in ["/livez", "/readyz"] {
        let answer = with_authorization(&gateway, probe, None).await;
        assert_eq!(answer.status, 200, "{probe} needs no token");
    }
    let admin = Dify::new(gateway.embedded.admin(), None);
    let reload = admin.raw("POST", "/-/reload", &[], b"").await.unwrap();
    assert_eq!(reload.status, 401, "nobody reloads without the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn f083_post_looks_at_nothing_and_get_changes_nothing() {
    let nodes = daemons(1).await;
    let named = [("n1".to_owned(), nodes[0].addr())];
    let filed = Filed::start(&yaml(&named, "reload: { poll: \"off\" }\n")).await;
    for page in PAGES.iter().chain(&["/livez", "/readyz"]) {
        let status = filed.post(page).await.status;
        assert!(
            [404, 405].contains(&status),
            "POST {page} was answered with {status}"
        );
    }
    filed.write(&yaml(
        &named,
        "reload: { poll: \"off\" }\nlearn: { window: 9 }\n",
    ));
    for path in ["/-/reload", "/config/reload"] {
        let status = filed.gateway.admin(path).await.status;
        assert!(
            [404, 405].contains(&status),
            "GET {path} was answered with {status}"
        );
    }
    assert_eq!(filed.version(), 1, "no GET reloaded anything");
    assert_eq!(filed.post("/-/reload").await.status, 200, "POST reloads");
    assert_eq!(filed.version(), 2, "and that counts");
    let page = filed.gateway.admin("/cluster/stats").await.json();
    assert_eq!(page["window"], 9, "the file's new value is in force");
    assert_eq!(
        filed.post("/config/reload").await.status,
        200,
        "the seed's path reloads too"
    );
    assert_eq!(filed.version(), 3, "each reload counts");
}
