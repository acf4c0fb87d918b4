//! Every page answers as its document says, and acts only for those who may.

use crate::rig::{PLUGIN, Rig, ask, daemons, sim};
use crate::support::eventually;
use crate::support::filed::Filed;
use crate::support::gateway::yaml;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use twolane::demo::daemon::Stop;

/// A key with everything that has a meaning in a path.
const KEY: &str = "tool/invoke|langgenius/openai";
const PIN: &str = "/api/v1/operations/tool%2Finvoke%7Clanggenius%2Fopenai/pin";

/// The schemas of the document, by name.
struct Document(Value);

impl Document {
    async fn of(rig: &Rig) -> Self {
        Self(rig.get("/api/v1/openapi.json").await)
    }

    /// What is wrong with an answer.
    fn problems(&self, schema: &Value, answer: &Value) -> Vec<String> {
        let mut whole = schema.clone();
        whole["components"] = self.0["components"].clone();
        let validator =
            jsonschema::validator_for(&whole).expect("the document's schemas are sound");
        let problems = validator.iter_errors(answer);
        problems
            .map(|problem| format!("{problem} at {}", problem.instance_path))
            .collect()
    }

    /// The schema of one answer; none where it is not JSON.
    fn schema(&self, method: &str, path: &str, status: u16) -> Option<&Value> {
        let answer = &self.0["paths"][path][method]["responses"][status.to_string()];
        assert!(
            answer.is_object(),
            "{method} {path} {status} is not described"
        );
        answer["content"]["application/json"].get("schema")
    }

    /// The paths that are read without more ado.
    fn plain_pages(&self) -> Vec<String> {
        let paths = self.0["paths"].as_object().unwrap();
        let plain = paths.iter().filter(|(path, methods)| {
            !path.contains('{') && methods.get("get").is_some() && *path != "/api/v1/events"
        });
        plain.map(|(path, _)| path.clone()).collect()
    }
}

/// Reads every page and compares it with its schema.
async fn all_pages_are_as_described(rig: &Rig, when: &str) {
    let document = Document::of(rig).await;
    let (mut pages, mut compared) = (BTreeMap::new(), 0);
    for path in document.plain_pages() {
        pages.insert(path.clone(), path);
    }
    pages.insert(
        "/api/v1/nodes/n1".to_owned(),
        "/api/v1/nodes/{node}".to_owned(),
    );
    for (target, path) in pages {
        let answer = rig.gateway.admin(&target).await;
        let Some(schema) = document.schema("get", &path, answer.status) else {
            continue;
        };
        let problems = document.problems(schema, &answer.json());
        assert!(problems.is_empty(), "{when}: {path}: {problems:#?}");
        compared += 1;
    }
    assert!(compared >= 16, "only {compared} pages were compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_as_the_document_says_idle_at_work_and_with_a_node_down() {
    let rig = Rig::new(2, "max_in_flight: 4\n").await;
    all_pages_are_as_described(&rig, "idle").await;
    rig.call(json!({})).await;
    let held = rig.gateway.dify();
    let held = held
        .open("llm/invoke", PLUGIN, sim(json!({"fail": "hang"})))
        .await
        .unwrap();
    rig.ask("PUT", PIN, &json!({"class": "long"})).await;
    all_pages_are_as_described(&rig, "at work").await;
    rig.nodes[1].stop(Stop::Cut).await;
    eventually("the stopped node is down", async || {
        rig.get("/api/v1/nodes/n2").await["light"] == "down"
    })
    .await;
    all_pages_are_as_described(&rig, "a node down").await;
    let row = rig.get("/api/v1/nodes/n2").await;
    assert!(row["check"]["wrong"].is_string(), "and it says why: {row}");
    drop(held);
}

const STATE: &str = "/api/v1/nodes/{node}/state";
const WEIGHT: &str = "/api/v1/nodes/{node}/weight";
const OPERATION: &str = "/api/v1/operations/{key}";
const OF_PIN: &str = "/api/v1/operations/{key}/pin";
const KNOWN: &str = "/api/v1/operations/tool%2Finvoke%7Clanggenius%2Fopenai";
const EXPLAIN: &str = "/api/v1/explain";
const LEVEL: &str = "/api/v1/log-level";
const N1_STATE: &str = "/api/v1/nodes/n1/state";
const N1_WEIGHT: &str = "/api/v1/nodes/n1/weight";

/// What is asked one after the other: method, path of the document, target, body, status.
const ACTIONS: [(&str, &str, &str, &str, u16); 16] = [
    ("PUT", STATE, N1_STATE, r#"{"state": "drain"}"#, 200),
    ("PUT", STATE, N1_STATE, r#"{"state": "gone"}"#, 400),
    (
        "PUT",
        STATE,
        "/api/v1/nodes/n9/state",
        r#"{"state": "drain"}"#,
        404,
    ),
    ("PUT", WEIGHT, N1_WEIGHT, r#"{"weight": 7}"#, 200),
    ("PUT", WEIGHT, N1_WEIGHT, r#"{"weight": 0}"#, 400),
    ("PUT", WEIGHT, N1_WEIGHT, r#"{"weight": -1}"#, 400),
    (
        "PUT",
        WEIGHT,
        "/api/v1/nodes/n9/weight",
        r#"{"weight": 7}"#,
        404,
    ),
    ("PUT", OF_PIN, PIN, r#"{"class": "long"}"#, 200),
    ("PUT", OF_PIN, PIN, r#"{"class": "slow"}"#, 400),
    ("DELETE", OF_PIN, PIN, "null", 200),
    ("DELETE", OF_PIN, PIN, "null", 404),
    ("DELETE", OPERATION, KNOWN, "null", 200),
    ("DELETE", OPERATION, KNOWN, "null", 404),
    (
        "POST",
        EXPLAIN,
        EXPLAIN,
        r#"{"method": "POST", "path": "/plugin/t/dispatch/tool/invoke"}"#,
        200,
    ),
    ("POST", EXPLAIN, EXPLAIN, r#"{"method": "GET"}"#, 400),
    ("PUT", LEVEL, LEVEL, r#"{"level": "loud"}"#, 400),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_action_answers_as_the_document_says() {
    let rig = Rig::new(2, "").await;
    let document = Document::of(&rig).await;
    rig.call(json!({})).await;
    for (method, path, target, body, status) in ACTIONS {
        let body = serde_json::from_str(body).unwrap();
        let answer = rig.ask(method, target, &body).await;
        let text = answer.text();
        assert_eq!(answer.status, status, "{method} {target} {body}: {text}");
        let schema = document.schema(&method.to_lowercase(), path, status);
        if let Some(schema) = schema {
            let problems = document.problems(schema, &answer.json());
            assert!(problems.is_empty(), "{method} {path}: {problems:#?}");
        } else {
            assert!(text.len() > 9, "a sentence says what is wrong");
        }
    }
    let row = rig.get("/api/v1/nodes/n1").await;
    assert_eq!(
        (&row["state"], &row["weight"]),
        (&json!("drain"), &json!(7))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_by_hand_decides_the_next_request_and_is_shown_with_its_samples() {
    let rig = Rig::new(1, "").await;
    for _ in 0..4 {
        rig.call(json!({})).await;
    }
    let of = async || {
        let page = rig.get("/api/v1/operations?search=OPENAI").await;
        let rows = page["operations"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["key"] == KEY).unwrap()
    };
    let before = of().await;
    assert_eq!(
        (&before["long"], &before["pin"]),
        (&json!(false), &Value::Null)
    );
    assert!(!before["samples_ms"].as_array().unwrap().is_empty());
    rig.ask("PUT", PIN, &json!({"class": "long"})).await;
    let pinned = of().await;
    assert_eq!(
        (&pinned["long"], &pinned["pin"]),
        (&json!(true), &json!("hand"))
    );
    rig.call(json!({})).await;
    let last = rig.get("/api/v1/decisions?limit=1").await;
    assert_eq!(last["decisions"][0]["class"], "long");
    assert_eq!(last["decisions"][0]["basis"], "pinned");
    let page = rig
        .get("/api/v1/operations?class=long&limit=1&offset=0")
        .await;
    assert!(page["operations"].as_array().unwrap().len() <= 1);
    rig.ask("DELETE", PIN, &Value::Null).await;
    assert_eq!(of().await["long"], false, "learning decides again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_shown_with_origins_and_what_a_reload_would_change() {
    let nodes = daemons(1).await;
    let named = [("n1".to_owned(), nodes[0].addr())];
    let text = |more: &str| yaml(&named, &format!("reload: {{ poll: \"off\" }}\n{more}"));
    let filed = Filed::start(&text("")).await;
    let get = async |path: &str| filed.gateway.admin(path).await.json();
    let page = get("/api/v1/config").await;
    let key = |name: &str| {
        let keys = page["keys"].as_array().unwrap();
        keys.iter().find(|row| row["key"] == name).unwrap().clone()
    };
    assert_eq!(key("reload.poll")["origin"], "file");
    assert_eq!(key("learn.window")["origin"], "default");
    assert_eq!(get("/api/v1/config/diff").await["changes"], json!([]));
    filed.write(&text("learn: { window: 9 }\n"));
    let diff = get("/api/v1/config/diff").await;
    assert_eq!(diff["changes"], json!(["learn.window: 5 -> 9"]));
    assert_eq!(filed.version(), 1, "looking changed nothing");
    filed.write(&text("lern: { window: 9 }\n"));
    let diff = get("/api/v1/config/diff").await;
    assert!(
        diff["problems"].as_str().unwrap().contains("lern"),
        "{diff}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_by_hand_moves_traffic_and_outlives_a_reload_that_does_not_name_it() {
    let rig = Rig::new(2, "strategy: weighted_round_robin\n").await;
    let weight = json!({"weight": 9});
    rig.ask("PUT", "/api/v1/nodes/n1/weight", &weight).await;
    for _ in 0..20 {
        rig.call(json!({})).await;
    }
    let served = async |id: &str| rig.get(&format!("/api/v1/nodes/{id}")).await["served"].clone();
    assert_eq!(
        (served("n1").await, served("n2").await),
        (json!(18), json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f083_a_page_of_another_site_cannot_act_and_a_wrong_method_is_told_the_right_ones() {
    let rig = Rig::new(1, "").await;
    let drain = json!({"state": "drain"});
    let state = "/api/v1/nodes/n1/state";
    let host = rig.gateway.embedded.admin().to_string();
    let foreign = [
        vec![("Origin", "http://evil.example")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Host", "evil.example:5012")],
    ];
    for headers in foreign {
        let answer = ask(&rig.gateway, "PUT", state, &headers, &drain).await;
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
    }
    assert_eq!(rig.get("/api/v1/nodes/n1").await["state"], "ready");
    let origin = format!("http://{host}");
    let own = [
        ("Origin", origin.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let answer = ask(&rig.gateway, "PUT", state, &own, &drain).await;
    assert_eq!(answer.status, 200, "the gateway's own page may");
    let answer = rig.ask("GET", state, &Value::Null).await;
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("PUT")));
    let answer = rig.ask("GET", "/nothing", &Value::Null).await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.text().contains("GET /api/v1/overview"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f083_a_browser_opens_with_the_token_as_its_password() {
    let rig = Rig::new(1, "admin: { listen: 127.0.0.1:0, token: s3cret }\n").await;
    // `operator:s3cret` and `operator:wrong!`.
    let (right, wrong) = (
        "Basic b3BlcmF0b3I6czNjcmV0",
        "Basic b3BlcmF0b3I6d3JvbmchCg==",
    );
    for (sent, status) in [(right, 200), (wrong, 401)] {
        let headers = [("Authorization", sent)];
        let answer = ask(
            &rig.gateway,
            "GET",
            "/api/v1/overview",
            &headers,
            &Value::Null,
        )
        .await;
        assert_eq!(answer.status, status, "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f190_health_is_the_seeds_and_503_when_a_pool_has_nobody() {
    let rig = Rig::new(1, "").await;
    let health = rig.gateway.admin("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("ok"))
    );
    rig.nodes[0].stop(Stop::Cut).await;
    eventually("degraded", async || {
        rig.gateway.admin("/health").await.status == 503
    })
    .await;
    let health = rig.gateway.admin("/health").await.json();
    assert_eq!(health["status"], "degraded");
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(rig.gateway.admin("/livez").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f191_f227_status_counts_as_the_seed_does() {
    let rig = Rig::new(2, "").await;
    for _ in 0..3 {
        rig.call(json!({})).await;
    }
    rig.ask("PUT", "/api/v1/nodes/n2/state", &json!({"state": "drain"}))
        .await;
    let application = rig.get("/status").await["applications"]["main"].clone();
    assert_eq!(application["total_requests"], 3);
    let instances = application["instances"].as_object().unwrap();
    let sum: u64 = instances
        .values()
        .map(|row| row["requests"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 3);
    assert_eq!(instances["n1"]["status"], "healthy");
    assert_eq!(instances["n2"]["status"], "drained");
    rig.nodes[0].stop(Stop::Cut).await;
    eventually("unhealthy", async || {
        rig.get("/status").await["applications"]["main"]["instances"]["n1"]["status"] == "unhealthy"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f192_the_seeds_name_reloads_by_post_and_needs_the_token() {
    let nodes = daemons(1).await;
    let named = [("n1".to_owned(), nodes[0].addr())];
    let text = |more: &str| {
        let fixed = "reload: { poll: \"off\" }\nadmin: { listen: 127.0.0.1:0, token: s3cret }\n";
        yaml(&named, &format!("{fixed}{more}"))
    };
    let filed = Filed::start(&text("")).await;
    let opens = [("Authorization", "Bearer s3cret")];
    let reload = async |method, headers: &[_]| {
        ask(
            &filed.gateway,
            method,
            "/reload-config",
            headers,
            &Value::Null,
        )
        .await
    };
    filed.write(&text("learn: { window: 9 }\n"));
    assert_eq!(reload("POST", &[]).await.status, 401);
    assert_eq!(
        reload("GET", &opens).await.status,
        405,
        "GET changes nothing"
    );
    assert_eq!(filed.version(), 1);
    let answer = reload("POST", &opens).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["message"], "Configuration reloaded");
    assert_eq!(filed.version(), 2);
    filed.write(&text("lern: { window: 9 }\n"));
    assert_eq!(reload("POST", &opens).await.status, 400);
    assert_eq!(filed.version(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f079_the_seeds_row_has_the_seeds_fields() {
    let rig = Rig::new(1, "").await;
    rig.call(json!({})).await;
    let row = rig.get("/cluster/nodes").await["nodes"][0].clone();
    assert_eq!(row["inflight"], json!({"short": 0, "long": 0}));
    assert_eq!(row["plugins"], 1, "the one that answered here");
    assert_eq!(
        (&row["cooldown_ttl"], &row["ejected"]),
        (&json!(0.0), &json!(false))
    );
    assert!(
        row["last_ping_ms"].as_f64().is_some_and(|ago| ago >= 0.0),
        "{row}"
    );
}
