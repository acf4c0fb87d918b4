//! What of the operator's side can be turned against the gateway? Rows 31 to 33 and 65.

use crate::rig::{Rig, Witness};
use crate::support::gateway::{Gateway, parse};
use crate::support::{eventually, within};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twolane::config;
use twolane::model::{Dice, Request};
use twolane::nodes::Candidates;
use twolane::select::{Choice, Strategy};
use twolane::server::{Options, known};

/// What a line of HTTP must not contain, in YAML's own escapes.
const BREAKS: [&str; 3] = ["\\r\\nX-Evil: 1", "\\nx", "\\0"];

#[test]
fn row_31_no_value_of_the_configuration_breaks_a_line_of_http() {
    let nodes = "nodes: [10.0.0.9:5002]\n";
    let keys = [
        (
            "nodes: [{ id: \"aBREAK\", address: 10.0.0.9:5002 }]\n",
            "id",
        ),
        ("nodes: [\"10.0.0.9BREAK:5002\"]\n", "nodes"),
        ("nodes: [\"https://a.testBREAK:5002\"]\n", "nodes"),
        ("NODEShealth: { path: \"/healthBREAK\" }\n", "path"),
        (
            "NODESlimits: { rates: [{ by: \"header:X-TeamBREAK\", rate: 1/s }] }\n",
            "by",
        ),
        (
            "pools: [{ name: \"aBREAK\", nodes: [10.0.0.9:5002] }]\n",
            "name",
        ),
    ];
    for (text, key) in keys {
        let sound = text.replace("NODES", nodes).replace("BREAK", "");
        let loaded = config::load(&sound, "t.yaml", &known(), &|_| None);
        assert!(loaded.is_ok(), "{sound}: {}", loaded.unwrap_err().render());
        for broken in BREAKS {
            let text = text.replace("NODES", nodes).replace("BREAK", broken);
            let refused = config::load(&text, "t.yaml", &known(), &|_| None);
            let problems = refused.err().map(|problems| problems.render());
            let problems = problems.unwrap_or_else(|| panic!("taken: {text}"));
            assert!(
                problems.contains("t.yaml") && problems.contains(key),
                "{text}: {problems}"
            );
        }
    }
}

/// One request to the admin listener, on a connection of its own.
async fn admin(at: SocketAddr, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let text = format!("{head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut said = String::new();
    within("an answer", stream.read_to_string(&mut said))
        .await
        .unwrap();
    let status = said.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or(0), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_32_the_operators_pages_are_for_the_operator() {
    let rig = Rig::new("").await;
    let at = rig.gateway.embedded.admin();
    assert!(at.ip().is_loopback());
    for (head, status, why) in [
        (
            "GET /api/v1/nodes HTTP/1.1\r\nHost: 127.0.0.1",
            200,
            "this machine",
        ),
        (
            "GET /api/v1/nodes HTTP/1.1\r\nHost: evil.example",
            403,
            "a name of another's",
        ),
        (
            "POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example",
            403,
            "a page",
        ),
        (
            "GET /-/reload HTTP/1.1\r\nHost: 127.0.0.1",
            405,
            "GET changes nothing",
        ),
    ] {
        let (got, said) = admin(at, head).await;
        assert_eq!(got, status, "{why}: {said}");
    }
    // The data listener has none of them: some are denied, of others the node is asked.
    for (target, status) in [
        ("/metrics", 404),
        ("/debug/pprof", 404),
        ("/admin", 404),
        ("/-/reload", 200),
        ("/ui/", 200),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = rig.tell(head.as_bytes()).await;
        assert_eq!(answer.status(), status, "{target}: {answer:?}");
        let asked = rig.witness.seen().len();
        assert_eq!(asked, usize::from(status == 200), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_32_with_a_token_nothing_else_opens() {
    let token = "0123456789abcdef";
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {token} }}\n\
         nodes: [10.0.0.9:5002]\nhealth: {{ enabled: false }}\n"
    );
    let gateway = Gateway::start(parse(&text)).await;
    let at = gateway.embedded.admin();
    let get = "GET /api/v1/nodes HTTP/1.1\r\nHost: a";
    assert_eq!(admin(at, get).await.0, 401);
    let wrong = format!("{get}\r\nAuthorization: Bearer 0123456789abcdeg");
    assert_eq!(admin(at, &wrong).await.0, 401);
    let right = format!("{get}\r\nAuthorization: Bearer {token}");
    assert_eq!(admin(at, &right).await.0, 200);
}

/// Row 33: what discovery and the admin API may name is in tests/discovery (`what_may_not_register_
/// is_refused`, `an_address_outside_of_the_fence_is_no_node`); here is what a request and a check do.
#[tokio::test(flavor = "multi_thread")]
async fn row_33_neither_a_request_nor_a_check_goes_where_a_stranger_points() {
    let elsewhere = Witness::start().await;
    let rig = Rig::new("").await;
    let to = elsewhere.addr;
    let head = format!("GET http://{to}/x HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    let answer = rig.tell(head.as_bytes()).await;
    assert_eq!(answer.status(), 200, "its own node was asked: {answer:?}");
    assert_eq!(rig.witness.seen().len(), 1);
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{to}/health/check\r\nContent-Length: 0\r\n\r\n"
    );
    let lying = Witness::start().await;
    lying.answers(redirect.as_bytes());
    let ports = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\n";
    let checks = "health: { interval: 100ms, on_connect: false }\n";
    let text = format!("{ports}{checks}nodes: [\"{}\"]\n", lying.addr);
    let gateway = Gateway::start(parse(&text)).await;
    eventually("it was checked thrice", async || lying.count() >= 3).await;
    let nodes = gateway.embedded.live().snapshot().nodes();
    assert!(!nodes[0].is_healthy(), "a redirect is no health");
    assert!(elsewhere.seen().is_empty(), "and nobody follows it");
}

#[derive(Clone, Copy, Debug)]
struct Broken;

impl Strategy for Broken {
    fn choose(&self, _: &Request, _: &Candidates<'_>, _: &mut Dice) -> Choice {
        panic!("it is broken")
    }
}

/// A start that fails exits with an error: tests/process (`a_busy_port_ends_the_program_...`).
#[tokio::test(flavor = "multi_thread")]
async fn row_65_a_panic_in_a_hook_is_counted_and_the_next_request_is_served() {
    let options = Options {
        strategies: vec![("adaptive".to_owned(), Box::new(|_| Arc::new(Broken)))],
        ..Options::default()
    };
    let witness = Witness::start().await;
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nnodes: [\"{}\"]\n\
         health: {{ enabled: false, on_connect: false }}\n",
        witness.addr
    );
    let gateway = Gateway::start_with(parse(&text), options).await;
    let rig = Rig { witness, gateway };
    for _ in 0..3 {
        rig.canary("a panic").await;
    }
    let failures = r#"twolane_strategy_failures_total{pool="main"}"#;
    assert_eq!(rig.metric(failures).await, 3.0);
    let live = rig.gateway.embedded.live();
    eventually("nobody is left inside", async || live.lifecycle.open() == 0).await;
}
