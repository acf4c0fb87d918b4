//! How often, and how much at once: rows 203 to 206 of the features.

use crate::rig::{Answer, Rig};
use crate::support::{eventually, within};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use twolane::model::clock;

async fn get(rig: &Rig, target: &str, lines: &str) -> Answer {
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    rig.tell(head.as_bytes()).await
}

async fn statuses(rig: &Rig, times: usize, target: &str, lines: &str) -> Vec<u16> {
    let mut all = Vec::new();
    for _ in 0..times {
        all.push(get(rig, target, lines).await.status());
    }
    all
}

fn expect_limited(answer: &Answer, word: &str) -> u64 {
    assert_eq!(
        (answer.status(), answer.header("X-Twolane-Error")),
        (429, Some(word)),
        "{answer:?}"
    );
    let body: Value = serde_json::from_str(answer.text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert!(
        body["code"].as_i64().unwrap() < 0,
        "Dify reads the body, not the status: {body}"
    );
    answer.header("Retry-After").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f203_an_address_gets_its_burst_and_then_429_until_the_second_it_was_told() {
    let rig = Rig::new("limits: { rates: [{ by: address, rate: 2/h, burst: 2 }] }\n").await;
    assert_eq!(statuses(&rig, 5, "/x", "").await, [200, 200, 200, 429, 429]);
    assert_eq!(
        rig.witness.seen().len(),
        3,
        "what is refused reaches no node"
    );
    let wait = expect_limited(&get(&rig, "/x", "").await, "rate_limited");
    assert!(
        (1700..=1800).contains(&wait),
        "half an hour less what passed: {wait}"
    );
    let metric = r#"twolane_limited_requests_total{by="address"}"#;
    assert_eq!(rig.metric(metric).await, 3.0);
    // A stranger does not become another one by saying so.
    let other = get(&rig, "/x", "X-Forwarded-For: 9.9.9.9\r\n").await;
    expect_limited(&other, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn f203_who_is_told_to_come_again_in_a_second_passes_then() {
    let rig = Rig::new("limits: { rates: [{ by: address, rate: 1/s, burst: 1 }] }\n").await;
    let refused = within("one too many in a second", async {
        loop {
            let answer = get(&rig, "/x", "").await;
            if answer.status() != 200 {
                break answer;
            }
        }
    });
    let wait = expect_limited(&refused.await, "rate_limited");
    let told = clock::now() + Duration::from_secs(wait);
    tokio::time::sleep_until(told.into()).await;
    assert_eq!(get(&rig, "/x", "").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f203_behind_a_trusted_proxy_each_client_has_its_own_bucket() {
    let yaml =
        "trusted_proxies: [127.0.0.1]\nlimits: { rates: [{ by: address, rate: 1/h, burst: 1 }] }\n";
    let rig = Rig::new(yaml).await;
    for client in ["9.9.9.1", "9.9.9.2", "2001:db8:1:1::1", "2001:db8:1:2::1"] {
        let lines = format!("X-Forwarded-For: 7.7.7.7, {client}\r\n");
        assert_eq!(
            statuses(&rig, 3, "/x", &lines).await,
            [200, 200, 429],
            "{client}"
        );
    }
    let neighbour = get(&rig, "/x", "X-Forwarded-For: 2001:db8:1:1::2\r\n").await;
    assert_eq!(neighbour.status(), 429, "one site is one client");
}

#[tokio::test(flavor = "multi_thread")]
async fn f204_f205_tenants_and_headers_have_buckets_of_their_own() {
    let yaml = "limits:\n  rates:\n  - { by: tenant, rate: 1/h, burst: 1 }\n  - { by: \"header:X-Team\", rate: 1/h, burst: 2 }\n";
    let rig = Rig::new(yaml).await;
    let list = |tenant: &str| format!("/plugin/{tenant}/management/list");
    assert_eq!(statuses(&rig, 3, &list("t1"), "").await, [200, 200, 429]);
    assert_eq!(statuses(&rig, 3, &list("t2"), "").await, [200, 200, 429]);
    assert_eq!(
        statuses(&rig, 4, "/x", "X-Team: a\r\n").await,
        [200, 200, 200, 429]
    );
    assert_eq!(
        statuses(&rig, 4, "/x", "X-Team: b\r\n").await,
        [200, 200, 200, 429]
    );
    assert_eq!(
        statuses(&rig, 9, "/x", "").await,
        [200; 9],
        "without the key, uncounted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn those_inside_are_counted_and_leave_with_their_connections() {
    let rig = Rig::new("limits: { rates: [{ by: address, at_once: 2 }] }\n").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(rig.addr()).await.unwrap();
        stream
            .write_all(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            .await
            .unwrap();
        held.push(stream);
    }
    eventually("both are inside", async || {
        rig.gateway.embedded.live().lifecycle.open() == 2
    })
    .await;
    let wait = expect_limited(&get(&rig, "/x", "").await, "too_many_at_once");
    assert_eq!(wait, 1);
    drop(held);
    let free = async || get(&rig, "/x", "").await.status() == 200;
    eventually("they have left", free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_which_limit_would_refuse_and_counts_nothing() {
    let rig =
        Rig::new("limits: { rates: [{ by: \"header:X-Team\", rate: 1/h, burst: 1 }] }\n").await;
    let ask = async || {
        let question = json!({"method": "GET", "path": "/x", "headers": {"X-Team": "a"}});
        let dify = crate::support::client::Dify::new(rig.gateway.embedded.admin(), None);
        let answer = within("explain", dify.post("/api/v1/explain", &question)).await;
        serde_json::from_str::<Value>(answer.text()).unwrap()["refused"].clone()
    };
    for _ in 0..9 {
        assert_eq!(ask().await, Value::Null);
    }
    assert_eq!(
        statuses(&rig, 3, "/x", "X-Team: a\r\n").await,
        [200, 200, 429]
    );
    let refused = ask().await;
    assert!(
        refused
            .as_str()
            .is_some_and(|text| text.contains("rate_limited") && text.contains("same header")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_was_counted_by_entries_that_stay() {
    let witness = crate::rig::Witness::start().await;
    let node = witness.addr;
    let text = |rates: &str| {
        format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nhealth: {{ enabled: false, on_connect: false }}\n\
             nodes: [\"{node}\"]\nreload: {{ poll: off }}\nlimits: {{ rates: [{rates}] }}\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twolane.yaml");
    let kept = "{ by: address, rate: 1/h, burst: 1 }";
    std::fs::write(&file, text(kept)).unwrap();
    let known = twolane::server::known();
    let loaded = twolane::config::load_file(&file, &known).unwrap();
    let options = twolane::server::Options::default();
    let embedded = twolane::server::Embedded::start_file(file.clone(), loaded, options)
        .await
        .unwrap();
    let gateway = crate::support::gateway::Gateway { embedded };
    let rig = Rig { witness, gateway };
    assert_eq!(statuses(&rig, 3, "/x", "").await, [200, 200, 429]);
    std::fs::write(&file, text(&format!("{kept}, {{ by: tenant, rate: 5/s }}"))).unwrap();
    rig.gateway.embedded.reload().await.unwrap();
    assert_eq!(
        get(&rig, "/x", "").await.status(),
        429,
        "it stayed, and remembers"
    );
    std::fs::write(&file, text("{ by: address, rate: 2/h, burst: 1 }")).unwrap();
    rig.gateway.embedded.reload().await.unwrap();
    assert_eq!(
        get(&rig, "/x", "").await.status(),
        200,
        "another entry begins anew"
    );
    std::fs::write(&file, text("{ by: adress, rate: 2/h }")).unwrap();
    let refused = rig.gateway.embedded.reload().await.unwrap_err();
    assert!(refused.contains("address"), "the cure is named: {refused}");
}

/// A key of an application, and a user in one of the five places.
fn whose(key: &str, user: &str) -> String {
    format!("Authorization: Bearer {key}\r\nX-User-ID: {user}\r\n")
}

const APPLICATIONS: &str = "applications: [{ name: a, keys: [key-of-a], pool: main }, \
                            { name: b, keys: [key-of-b], pool: main }]\n";

#[tokio::test(flavor = "multi_thread")]
async fn f204_applications_are_counted_each_for_itself() {
    let rates = "limits: { rates: [{ by: application, rate: 1/h, burst: 1 }] }\n";
    let rig = Rig::new(&[APPLICATIONS, rates].concat()).await;
    for key in ["key-of-a", "key-of-b"] {
        let seen = statuses(&rig, 3, "/x", &whose(key, "u")).await;
        assert_eq!(seen, [200, 200, 429], "{key}");
    }
    assert_eq!(
        statuses(&rig, 3, "/x", "Authorization: Bearer nobody\r\n").await,
        [401, 401, 401],
        "a stranger is told that, and counts for nobody"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f205_users_are_counted_each_for_itself_in_each_application() {
    let rates = "limits: { rates: [{ by: user, rate: 1/h, burst: 1 }] }\n";
    let rig = Rig::new(&[APPLICATIONS, rates].concat()).await;
    for key in ["key-of-a", "key-of-b"] {
        for user in ["u", "v"] {
            let seen = statuses(&rig, 3, "/x", &whose(key, user)).await;
            assert_eq!(seen, [200, 200, 429], "{key} {user}");
        }
    }
    let none = "Authorization: Bearer key-of-a\r\n";
    assert_eq!(statuses(&rig, 4, "/x", none).await, [200; 4], "nobody's");
    let metric = r#"twolane_limited_requests_total{by="user"}"#;
    assert_eq!(rig.metric(metric).await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f205_four_hundred_users_pass_and_one_that_comes_as_often_does_not() {
    // A user in the body, which is read for that and arrives unchanged.
    let rates = "limits: { rates: [{ by: user, rate: 1/h, burst: 1 }] }\n";
    let rig = Rig::new(rates).await;
    let send = |user: String| {
        let body = json!({ "query": "q", "user": user }).to_string();
        let head = format!(
            "POST /v1/chat-messages HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let rig = &rig;
        async move { rig.tell(head.as_bytes()).await.status() }
    };
    for n in 0..400 {
        assert_eq!(
            send(format!("user-{n}")).await,
            200,
            "the first of user {n}"
        );
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(send("one".to_owned()).await);
    }
    assert_eq!(seen, [200, 200, 429, 429, 429]);
}
