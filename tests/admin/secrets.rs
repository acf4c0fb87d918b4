//! What is secret in the configuration or in a request appears on no page.

use crate::rig::{PLUGIN, ask, daemons, sim};
use crate::support::client::{Dify, expect_events};
use crate::support::filed::Filed;
use crate::support::gateway::yaml;
use crate::support::stream::Stream;
use crate::support::within;
use serde_json::{Value, json};

const SECRET: &str = "hunter2-hunter2";

/// Every key that holds a secret, and others where people put them.
fn with_secrets() -> String {
    format!(
        "admin: {{ listen: 127.0.0.1:0, token: {SECRET}-token }}\n\
         share: {{ redis: \"redis://me:{SECRET}-redis@127.0.0.1:1/0\" }}\n\
         rules:\n  - {{ header: {{ X-Api-Key: {SECRET}-rule, Authorization: \"Bearer {SECRET}-rule\" }}, class: long }}\n\
         discover: {{ dify_redis: {{ address: \"127.0.0.1:1\", password: {SECRET}-dify }}, allow: [127.0.0.0/8] }}\n\
         reload: {{ poll: \"off\" }}\n\
         upstream_key: {SECRET}-upstream\n\
         applications: [{{ name: a, pool: main, keys: [{SECRET}-key, {SECRET}-second] }}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_keys_and_headers_appear_on_no_page() {
    let nodes = daemons(1).await;
    let named = [("n1".to_owned(), nodes[0].addr())];
    let filed = Filed::start(&yaml(&named, &with_secrets())).await;
    let gateway = &filed.gateway;
    let mut dify = Dify::new(gateway.embedded.data(), Some(&format!("{SECRET}-key")));
    for header in [
        "Authorization",
        "Cookie",
        "X-Plugin-Secret",
        "Proxy-Authorization",
    ] {
        dify = dify.with(header, &format!("{SECRET}-header"));
    }
    let bearer = format!("Bearer {SECRET}-token");
    let opens = [("Authorization", bearer.as_str())];
    let admin = Dify::new(gateway.embedded.admin(), None);
    let events = admin.open_raw("GET", "/api/v1/events", &opens, b"");
    let mut events = events.await.unwrap();
    let (status, _) = within("the stream begins", events.head()).await.unwrap();
    assert_eq!(status, 200);
    // What is decided from here on is news.
    let overview = told(&mut events, "event: overview").await;
    let call = dify.all("tool/invoke", PLUGIN, sim(json!({"id": SECRET})));
    expect_events(within("an answer", call).await);
    let decided = told(&mut events, "event: decisions").await;
    let events = overview + &decided;
    assert!(!events.contains(SECRET), "{events}");

    let get = async |path: &str| ask(gateway, "GET", path, &opens, &Value::Null).await;
    let document = get("/api/v1/openapi.json").await.json();
    let pages = document["paths"].as_object().unwrap().keys();
    let mut pages: Vec<_> = pages
        .filter(|path| !path.contains('{') && *path != "/api/v1/events")
        .cloned()
        .collect();
    filed.write(&yaml(&named, &with_secrets().replace("-rule", "-other")));
    let more = ["/nothing", "/api/v1/nodes/none", "/api/v1/pools/main/nodes"];
    pages.extend(more.map(str::to_owned));
    assert!(pages.len() > 18, "{pages:?}");
    let explain = json!({"method": "POST", "path": "/plugin/t/dispatch/tool/invoke",
                         "headers": {"X-Api-Key": format!("{SECRET}-key"), "X-Plugin-ID": PLUGIN}});
    let mut answers = vec![ask(gateway, "POST", "/api/v1/explain", &opens, &explain).await];
    for page in &pages {
        answers.push(get(page).await);
    }
    answers.push(ask(gateway, "POST", "/-/reload", &opens, &Value::Null).await);
    answers.push(ask(gateway, "GET", "/status", &[], &Value::Null).await);
    // One that is refused, with a secret on its very line.
    filed.write(&yaml(&named, &with_secrets().replace("token:", "tokn:")));
    answers.push(ask(gateway, "POST", "/-/reload", &opens, &Value::Null).await);
    answers.push(get("/api/v1/config/diff").await);
    for answer in &answers {
        let text = answer.text();
        let at = text.find(SECRET);
        let around = at.map(|at| &text[at.saturating_sub(80)..(at + 20).min(text.len())]);
        assert_eq!(around, None, "a secret is shown");
        assert!(!format!("{:?}", answer.headers).contains(SECRET));
    }
}

/// What the stream of events says until it has said this one.
async fn told(stream: &mut Stream, event: &str) -> String {
    let mut told = String::new();
    within(event, async {
        while !told.contains(event) {
            let part = stream.part().await.unwrap().expect("it goes on");
            told.push_str(&String::from_utf8(part).unwrap());
        }
    })
    .await;
    told
}
