//! Nodes that are reached by TLS, with certificates on both sides.

use crate::PLUGIN;
use crate::peer::certificates;
use crate::support::client::expect_events;
use crate::support::filed::Filed;
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::pki::{Pair, Pki};
use crate::support::{eventually, within};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use twolane::demo::daemon::{Daemon, Settings, World};

/// TLS before a stand-in daemon, as a sidecar would end it.
struct Sidecar {
    address: SocketAddr,
    /// Handshakes that came to their end.
    made: Arc<AtomicUsize>,
}

impl Sidecar {
    /// Shows this certificate; with an authority it wants one of it from clients.
    async fn before(daemon: &Daemon, pair: &Pair, wants: Option<&Pki>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match wants {
            None => builder.with_no_client_auth(),
            Some(pki) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificates(&pki.ca()).remove(0)).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let config = builder
            .with_single_cert(certificates(&pair.cert), key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, made) = (daemon.addr(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn({
            let made = Arc::clone(&made);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, made) = (acceptor.clone(), Arc::clone(&made));
                    tokio::spawn(async move {
                        let mut client = acceptor.accept(client).await.ok()?;
                        made.fetch_add(1, Ordering::Relaxed);
                        let mut node = TcpStream::connect(to).await.ok()?;
                        tokio::io::copy_bidirectional(&mut client, &mut node)
                            .await
                            .ok()
                    });
                }
            }
        });
        Self { address, made }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

fn script() -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": {"events": 3}}})
}

async fn call(gateway: &Gateway) {
    let dify = gateway.dify();
    let answer = dify.all("tool/invoke", PLUGIN, script());
    expect_events(within("an answer", answer).await);
}

/// A node at this address, by this name in its certificate.
fn node(id: &str, address: SocketAddr, server_name: &str) -> String {
    format!("  - {{ id: {id}, address: \"https://{address}\", server_name: {server_name} }}\n")
}

fn trusting(pki: &Pki, more: &str) -> String {
    format!("node_tls: {{ ca: {}{more} }}\n", pki.ca().display())
}

fn gateway_yaml(rows: &str, more: &str) -> String {
    yaml(&[], &format!("nodes:\n{rows}{more}"))
}

async fn daemons(count: usize) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for at in 1..=count {
        let settings = Settings::named(&format!("n{at}"), &world);
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

fn healthy(gateway: &Gateway, id: &str) -> bool {
    let nodes = gateway.embedded.live().snapshot().nodes();
    nodes
        .iter()
        .any(|node| node.id().as_str() == id && node.is_healthy())
}

// In one thread: in several, whoever takes a connection may meet Pingora's task that watches it, and then
// makes a new one.
#[tokio::test]
async fn calls_checks_and_probes_reach_a_node_by_tls_on_connections_that_are_kept() {
    let pki = Pki::new();
    let daemon = daemons(1).await.remove(0);
    let sidecar = Sidecar::before(&daemon, &pki.issue("n", "DNS:daemon.test"), None).await;
    let rows = node("n1", sidecar.address, "daemon.test");
    let gateway = Gateway::start(parse(&gateway_yaml(&rows, &trusting(&pki, "")))).await;
    let live = gateway.embedded.live();
    for _ in 0..20 {
        call(&gateway).await;
        // Its connection is given back before its request ends, but behind its answer.
        within("its end", live.lifecycle.emptied()).await;
    }
    assert!(healthy(&gateway, "n1"), "its checks pass");
    let checks = daemon.health_checks();
    eventually("checks go on", async || daemon.health_checks() > checks).await;
    assert_eq!(daemon.ledger().len(), 20);
    // One for checks and one for calls; a check that is late has another.
    let made = sidecar.made();
    assert!(made < 5, "{made} handshakes for 20 calls");
}

const LIST: &str = "/plugin/t/management/list";

/// What a node was sent, without what differs from request to request.
fn fields(daemon: &Daemon) -> Vec<(String, String)> {
    let mut all = daemon.requests().into_iter();
    let seen = all.rfind(|seen| seen.target == LIST);
    let seen = seen.expect("it was asked");
    let of_one = ["traceparent", "x-request-id"];
    let fields = seen.headers.iter().map(|(name, value)| {
        let name = name.to_lowercase();
        let value = if of_one.contains(&name.as_str()) {
            "one"
        } else {
            value
        };
        (name, value.to_owned())
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_told_the_same_with_tls_and_without() {
    let pki = Pki::new();
    let nodes = daemons(2).await;
    let sidecar = Sidecar::before(&nodes[1], &pki.issue("n", "DNS:daemon.test"), None).await;
    let plain = format!("  - {{ id: n1, address: \"{}\" }}\n", nodes[0].addr());
    let rows = plain + &node("n2", sidecar.address, "daemon.test");
    let sent = [
        ("Host", "shop.example:5002"),
        ("Connection", "keep-alive"),
        ("X-Forwarded-For", "9.9.9.9"),
        ("X-Real-Ip", "9.9.9.9"),
        ("X-Plugin-Forwarded", "no"),
        ("X-Request-Id", "not one: {}"),
        ("traceparent", "none"),
        ("tracestate", "of=it"),
        ("Via", "1.1 before"),
        ("X-Own", "kept"),
    ];
    for trusts in ["", "trusted_proxies: [127.0.0.1]\n"] {
        let more = format!("strategy: round_robin\n{trusts}{}", trusting(&pki, ""));
        let gateway = Gateway::start(parse(&gateway_yaml(&rows, &more))).await;
        for sent in [&sent[..1], &sent[..]] {
            for _ in 0..2 {
                let answer = within("an answer", gateway.dify().raw("GET", LIST, sent, b"")).await;
                assert_eq!(answer.unwrap().status, 200);
            }
            let told = fields(&nodes[0]);
            assert_eq!(told, fields(&nodes[1]), "{sent:?} {trusts}");
            let at_least = [
                "via",
                "x-forwarded-for",
                "x-real-ip",
                "x-request-id",
                "traceparent",
            ];
            for name in at_least {
                assert!(told.iter().any(|it| it.0 == name), "{name} in {told:?}");
            }
            assert!(
                told.iter()
                    .all(|it| it.0 != "tracestate" && it.0 != "connection")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_and_a_name_that_is_looked_up_are_names_in_certificates_too() {
    let pki = Pki::new();
    let nodes = daemons(2).await;
    let by_ip = Sidecar::before(&nodes[0], &pki.issue("a", "IP:127.0.0.1"), None).await;
    let by_name = Sidecar::before(&nodes[1], &pki.issue("b", "DNS:localhost"), None).await;
    let rows = format!(
        "  - https://{}\n  - https://localhost:{}\n",
        by_ip.address,
        by_name.address.port()
    );
    let more = format!("strategy: round_robin\n{}", trusting(&pki, ""));
    let gateway = Gateway::start(parse(&gateway_yaml(&rows, &more))).await;
    for _ in 0..8 {
        call(&gateway).await;
    }
    let executions = nodes[0].ledger().executions();
    let on = |name| executions.iter().filter(|each| each.node == name).count();
    assert!(
        on("n1") > 0 && on("n2") > 0,
        "{} and {}",
        on("n1"),
        on("n2")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_wants_a_certificate_is_shown_one() {
    let (pki, clients) = (Pki::new(), Pki::new());
    let daemon = daemons(1).await.remove(0);
    let pair = pki.issue("n", "DNS:daemon.test");
    let sidecar = Sidecar::before(&daemon, &pair, Some(&clients)).await;
    let rows = node("n1", sidecar.address, "daemon.test");
    let own = clients.issue("gateway", "DNS:gateway");
    let shown = format!(", cert: {}, key: {}", own.cert.display(), own.key.display());
    let gateway = Gateway::start(parse(&gateway_yaml(&rows, &trusting(&pki, &shown)))).await;
    call(&gateway).await;
    assert!(healthy(&gateway, "n1"));
    // Without one, the node is not reached: nobody else is, and Dify is told so in its own words.
    let rows = format!("{rows}health: {{ enabled: false }}\n");
    let bare = Gateway::start(parse(&gateway_yaml(&rows, &trusting(&pki, "")))).await;
    let answer = bare
        .dify()
        .open("tool/invoke", PLUGIN, script())
        .await
        .unwrap();
    let answer = within("an answer", answer.whole()).await.unwrap();
    assert!([502, 503].contains(&answer.status), "{}", answer.text());
    assert_eq!(daemon.ledger().len(), 1);
}

/// Each is no node of ours, and the call goes to the one that is.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_certificate_is_no_node_and_its_calls_go_elsewhere() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let nodes = daemons(4).await;
    let good = Sidecar::before(&nodes[3], &pki.issue("good", "DNS:good.test"), None).await;
    let other = Sidecar::before(&nodes[0], &pki.issue("other", "DNS:other.test"), None).await;
    let forged = Sidecar::before(&nodes[1], &stranger.issue("f", "DNS:forged.test"), None).await;
    let rows = [
        node("wrong-name", other.address, "good.test"),
        node("stranger", forged.address, "forged.test"),
        node("plain", nodes[2].addr(), "good.test"),
        node("good", good.address, "good.test"),
    ]
    .concat();
    let more = "strategy: round_robin\nretry: { attempts: 4, budget_ratio: 1 }\n\
                health: { enabled: false }\ncooldown: { max_fails: 0 }\n";
    let text = gateway_yaml(&rows, &format!("{more}{}", trusting(&pki, "")));
    let gateway = Gateway::start(parse(&text)).await;
    for _ in 0..8 {
        call(&gateway).await;
    }
    let executions = nodes[0].ledger().executions();
    assert_eq!(executions.len(), 8);
    assert!(
        executions.iter().all(|each| each.node == "n4"),
        "{executions:?}"
    );
    // And the checks say so beforehand.
    let text = gateway_yaml(&rows, &trusting(&pki, ""));
    let checked = Gateway::start(parse(&text)).await;
    for (id, well) in [
        ("wrong-name", false),
        ("stranger", false),
        ("plain", false),
        ("good", true),
    ] {
        assert_eq!(healthy(&checked, id), well, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_authorities_hold_from_the_next_call_on_and_old_connections_are_not_used() {
    let (pki, other) = (Pki::new(), Pki::new());
    let daemon = daemons(1).await.remove(0);
    let sidecar = Sidecar::before(&daemon, &pki.issue("n", "DNS:daemon.test"), None).await;
    let rows = format!(
        "{}health: {{ enabled: false }}\nreload: {{ poll: \"off\" }}\n",
        node("n1", sidecar.address, "daemon.test")
    );
    let filed = Filed::start(&gateway_yaml(&rows, &trusting(&pki, ""))).await;
    call(&filed.gateway).await;
    filed
        .take(&gateway_yaml(&rows, &trusting(&other, "")))
        .await;
    let answer = filed
        .gateway
        .dify()
        .open("tool/invoke", PLUGIN, script())
        .await
        .unwrap();
    let answer = within("an answer", answer.whole()).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    filed.take(&gateway_yaml(&rows, &trusting(&pki, ""))).await;
    call(&filed.gateway).await;
    assert_eq!(daemon.ledger().len(), 2);
}

/// Two sources of one truth: the file that nodes are listed in may say https too.
#[test]
fn a_list_of_nodes_in_a_file_of_its_own_may_say_https() {
    let text = "- { address: 'https://10.0.0.11:5443', server_name: d1.internal }\n- 10.0.0.12\n";
    let nodes = twolane::config::read_nodes(text, "nodes.yaml").unwrap();
    assert_eq!(nodes[0].certified_as(), Some("d1.internal"));
    assert_eq!(nodes[0].id.as_str(), "10.0.0.11:5443");
    assert_eq!(nodes[1].certified_as(), None);
}
