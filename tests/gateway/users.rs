//! A user's id from five places, and the body behind it unchanged: ports of seed 002's own scripts
//! (form data, uploads from 1 KB to 50 MB, JSON from 1 to 100 KB).

use crate::rig::{Rig, UNCHECKED, node_of};
use crate::support::api::Api;
use crate::support::gateway::{Gateway, parse};
use crate::support::stream::Response;
use crate::support::within;
use serde_json::json;
use twolane::demo::daemon::checksum;

const KIB: usize = 1024;

struct Apis {
    nodes: Vec<Api>,
    gateway: Gateway,
}

/// Five APIs of Dify behind a gateway that goes by users.
async fn apis(more: &str) -> Apis {
    let mut nodes = Vec::new();
    let mut list = String::new();
    for n in 1..=5 {
        let api = Api::start(&format!("a{n}")).await;
        list += &format!("{{ id: a{n}, address: \"{}\" }}, ", api.address);
        nodes.push(api);
    }
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\n{UNCHECKED}{more}\
         kind: dify_api\nstrategy: consistent_hash\nhash: {{ by: user, required: true }}\n\
         nodes: [{list}]\n"
    );
    let gateway = Gateway::start(parse(&text)).await;
    Apis { nodes, gateway }
}

impl Apis {
    async fn send(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let dify = self.gateway.dify();
        let answer = dify.raw("POST", target, headers, body);
        within("an answer", answer).await.unwrap()
    }

    /// The node that takes a user's requests.
    async fn home(&self, user: &str) -> String {
        let answer = self.send("/v1/x", &[("X-User-ID", user)], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["answered_by"].as_str().unwrap().to_owned()
    }

    /// Checks that a request goes to this user's node, and its body arrives as it is.
    async fn arrives(&self, user: &str, headers: &[(&str, &str)], body: &[u8]) {
        let what = format!("{} bytes, {headers:?}", body.len());
        let answer = self.send("/v1/chat-messages", headers, body).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let node = answer.json()["answered_by"].as_str().unwrap().to_owned();
        assert_eq!(node, self.home(user).await, "{what}");
        let api = self.nodes.iter().find(|api| api.name == node).unwrap();
        let all = api.came();
        let came = all
            .iter()
            .rev()
            .find(|came| came.line.contains("chat-messages"));
        let came = came.unwrap();
        assert_eq!(
            (came.length, came.checksum),
            (body.len(), checksum(body)),
            "{what}: the body should arrive unchanged"
        );
    }
}

fn filling(size: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(size as u64);
    (0..size).map(|_| rng.u8(b'a'..=b'z')).collect()
}

/// A form with a user and a file, in either order.
fn form(user: &str, file: usize, user_first: bool) -> Vec<u8> {
    let user = format!("--XX\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n{user}\r\n");
    let head = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n";
    let file = [head.as_bytes(), &filling(file), b"\r\n"].concat();
    let parts = if user_first {
        [user.into_bytes(), file]
    } else {
        [file, user.into_bytes()]
    };
    [parts.concat(), b"--XX--\r\n".to_vec()].concat()
}

const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=XX");
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn f164_the_first_of_five_places_that_has_an_id_decides() {
    let apis = apis("").await;
    // Five users with five homes, as far as the ring has them.
    let mut users: Vec<String> = Vec::new();
    let mut homes = Vec::new();
    for n in 0..200 {
        let home = apis.home(&format!("u{n}")).await;
        if !homes.contains(&home) {
            homes.push(home);
            users.push(format!("u{n}"));
        }
    }
    assert_eq!(users.len(), 5);
    let body = json!({"user": users[3]}).to_string();
    let cookie = format!("a=b; user_id={}", users[2]);
    for (missing, home) in homes.iter().enumerate().take(4) {
        let mut headers = vec![JSON];
        if missing < 1 {
            headers.push(("X-User-ID", &users[0]));
        }
        if missing < 3 {
            headers.push(("Cookie", &cookie));
        }
        let target = if missing < 2 {
            format!("/v1/chat-messages?user_id=&user_id={}", users[1])
        } else {
            "/v1/chat-messages?user_id".to_owned()
        };
        let answer = apis.send(&target, &headers, body.as_bytes()).await;
        assert_eq!(answer.json()["answered_by"], *home, "{missing} are missing");
    }
    let body = form(&users[4], 10, true);
    let answer = apis.send("/v1/x", &[FORM], &body).await;
    assert_eq!(answer.json()["answered_by"], homes[4], "a form has it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn f167_f170_json_of_every_size_is_told_by_its_user_and_arrives_unchanged() {
    let apis = apis("").await;
    for kib in [1, 10, 50, 63, 64, 65, 100, 300, 900] {
        for first in [true, false] {
            let user = format!("user-{kib}-{first}");
            let query = String::from_utf8(filling(kib * KIB)).unwrap();
            let body = if first {
                format!(r#"{{"user":"{user}","query":"{query}"}}"#)
            } else {
                format!(r#"{{"inputs":{{"user":"no"}},"query":"{query}","user":"{user}"}}"#)
            };
            apis.arrives(&user, &[JSON], body.as_bytes()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f168_f170_f234_uploads_from_1_kb_to_50_mb_arrive_unchanged() {
    let apis = apis("").await;
    for kib in [1, 10, 63, 64, 100, 500, 1000, 5000, 50_000] {
        let user = format!("user-{kib}");
        let body = form(&user, kib * KIB, true);
        apis.arrives(&user, &[FORM], &body).await;
        // Behind a file that is too large to be looked through, it must be told otherwise.
        let behind = form(&user, kib * KIB, false);
        let mut headers = vec![FORM, ("X-User-ID", user.as_str())];
        if kib < 1000 {
            headers.pop();
        }
        apis.arrives(&user, &headers, &behind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f167_chunks_and_a_client_that_waits_for_leave_are_told_by_their_user_too() {
    let apis = apis("").await;
    let dify = apis.gateway.dify();
    for (name, value, body, wire) in [
        {
            let body = json!({"user": "chunky"}).to_string();
            let wire = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            ("Transfer-Encoding", "chunked".to_owned(), body, wire)
        },
        {
            let body = json!({"user": "chunky", "query": "x".repeat(5000)}).to_string();
            let wire = body.clone();
            ("Content-Length", body.len().to_string(), body, wire)
        },
    ] {
        let expects = name == "Content-Length";
        let mut headers = vec![JSON, (name, value.as_str())];
        if expects {
            headers.push(("Expect", "100-continue"));
        }
        let first = if expects { "" } else { wire.as_str() };
        let stream = dify.open_raw("POST", "/v1/chat-messages", &headers, first.as_bytes());
        let mut stream = stream.await.unwrap();
        if expects {
            // It waits until it is told to go on; then it sends.
            within("leave to go on", stream.interim()).await.unwrap();
            stream.send(wire.as_bytes()).await.unwrap();
        }
        let answer = within("an answer", stream.whole()).await.unwrap();
        assert_eq!(answer.status, 200, "{name}");
        let node = answer.json()["answered_by"].as_str().unwrap().to_owned();
        assert_eq!(node, apis.home("chunky").await);
        let api = apis.nodes.iter().find(|api| api.name == node).unwrap();
        let came = api.came().into_iter().rev();
        let mut came = came.filter(|came| came.line.contains("chat"));
        let came = came.next().unwrap();
        assert_eq!(came.checksum, checksum(body.as_bytes()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f165_f169_f233_what_holds_no_id_is_a_400_where_one_is_wanted_and_never_a_500() {
    let apis = apis("").await;
    let broken: [(&str, &str, &[u8]); 8] = [
        ("/v1/x?user_id", "application/json", b"{\"user\":null}"),
        ("/v1/x?user_id=", "application/json", b"{\"user\":{}}"),
        ("/v1/x?user_id[]=1", "application/json", b"{\"user\":"),
        ("/v1/x?%ff=%", "application/json", b"\xff\xfe\x00"),
        ("/v1/x", "multipart/form-data; boundary=XX", b"--XX\r\n"),
        ("/v1/x", "multipart/form-data", b"--XX\r\n"),
        ("/v1/x", "text/plain", b"user=u"),
        ("/v1/x", "application/x-www-form-urlencoded", b"&=&user="),
    ];
    for (target, kind, body) in broken {
        let answer = apis.send(target, &[("Content-Type", kind)], body).await;
        assert_eq!(answer.status, 400, "{target} {kind}: {}", answer.text());
        assert_eq!(answer.json()["code"], "bad_request");
        assert!(answer.json()["message"].as_str().unwrap().contains("user"));
    }
    assert!(apis.nodes.iter().all(|api| api.came().is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn f164_a_call_of_a_plugin_is_told_by_the_daemons_user_id() {
    let rig = Rig::new(4, &format!("{UNCHECKED}strategy: consistent_hash\n")).await;
    for user in ["alice", "bob", "carol", "dave", "erin"] {
        let call = async |pad: usize| {
            let body = json!({
                "user_id": user,
                "data": {"provider": "demo", "tool": "t", "tool_parameters": {
                    "__sim": {"events": 1}, "pad": "x".repeat(pad)}},
            });
            let headers = [JSON, ("X-Plugin-ID", crate::PLUGIN)];
            let body = body.to_string();
            let dify = rig.dify();
            let path = "/plugin/tenant/dispatch/tool/invoke";
            let answer = dify.raw("POST", path, &headers, body.as_bytes());
            let answer = within("an answer", answer).await.unwrap();
            assert_eq!(answer.status, 200);
            node_of(&answer).to_owned()
        };
        let home = call(0).await;
        for pad in [10, 70_000, 500_000] {
            assert_eq!(call(pad).await, home, "{user} {pad}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f194_debug_headers_are_on_or_off_and_never_name_a_user() {
    for on in [true, false] {
        let apis = apis(&format!("debug: {{ headers: {on} }}\n")).await;
        let user = "alice@example.org";
        let body = json!({"user": user, "query": "q"}).to_string();
        let target = format!("/v1/chat-messages?user_id={user}");
        for headers in [vec![JSON], vec![JSON, ("X-User-ID", user)]] {
            let answer = apis.send(&target, &headers, body.as_bytes()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let ours = |name: &str| name.to_ascii_lowercase().starts_with("x-twolane-");
            let shown: Vec<_> = answer
                .headers
                .iter()
                .filter(|(name, _)| ours(name))
                .collect();
            assert_eq!(!shown.is_empty(), on, "{shown:?}");
            assert_eq!(answer.header("X-Twolane-Node").is_some(), on);
            let names = |(_, value): &(String, String)| value.contains("alice");
            assert!(!answer.headers.iter().any(names), "{answer:?}");
        }
    }
}
