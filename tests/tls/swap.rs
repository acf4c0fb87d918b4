//! Certificates that are replaced while clients come and go.

use crate::clients::section;
use crate::peer::{Peer, ask, certificate_of, certificates};
use crate::support::filed::Filed;
use crate::support::gateway::yaml;
use crate::support::pki::{Pair, Pki};
use crate::support::{eventually, within};
use rustls::pki_types::CertificateDer;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Settings};

const HEALTH: &str = "/health/check";
const BY_HAND: &str = "reload: { poll: \"off\" }\n";
const POLLED: &str = "reload: { poll: 100ms }\n";

async fn gateway(pair: &Pair, more: &str) -> (Daemon, Filed) {
    let node = Daemon::start(Settings::default()).await.unwrap();
    let named = [(node.id().to_owned(), node.addr())];
    let filed = Filed::start(&yaml(&named, &format!("{more}{}", section(&[pair], "")))).await;
    (node, filed)
}

/// Puts another certificate and key in the place of a pair, as a renewal does: one after the other.
fn renew(old: &Pair, new: &Pair) {
    for (from, to) in [(&new.cert, &old.cert), (&new.key, &old.key)] {
        let beside = to.with_extension("new");
        fs::copy(from, &beside).unwrap();
        fs::rename(&beside, to).unwrap();
    }
}

fn of(pair: &Pair) -> CertificateDer<'static> {
    certificates(&pair.cert).remove(0)
}

/// One client after the other, each with a handshake of its own, until told to stop.
async fn come_and_go(
    pki: Arc<Pki>,
    to: std::net::SocketAddr,
    allowed: Arc<Vec<CertificateDer<'static>>>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) {
    while !stop.load(Ordering::Relaxed) {
        let peer = Peer::new(&pki);
        let mut stream = peer
            .connect(to, "a.test")
            .await
            .expect("no handshake fails");
        assert!(
            allowed.contains(&certificate_of(&stream)),
            "the old or a new one"
        );
        let answer = ask(&mut stream, "a.test", HEALTH).await;
        let answer = answer.expect("no request fails");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f229_certificates_are_replaced_under_load_without_one_failed_handshake() {
    const SWAPS: usize = 20;
    let pki = Arc::new(Pki::new());
    let served = pki.issue("served", "DNS:a.test");
    let next: Vec<_> = (0..SWAPS)
        .map(|at| pki.issue(&format!("next{at}"), "DNS:a.test"))
        .collect();
    let allowed: Vec<_> = [of(&served)]
        .into_iter()
        .chain(next.iter().map(of))
        .collect();
    let allowed = Arc::new(allowed);
    let (_node, filed) = gateway(&served, BY_HAND).await;
    let to = filed.gateway.embedded.tls().unwrap();
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (pki, allowed) = (Arc::clone(&pki), Arc::clone(&allowed));
        clients.spawn(come_and_go(
            pki,
            to,
            allowed,
            Arc::clone(&stop),
            Arc::clone(&count),
        ));
    }
    for (at, pair) in next.iter().enumerate() {
        renew(&served, pair);
        filed
            .gateway
            .embedded
            .reload()
            .await
            .expect("a good pair is taken");
        assert_eq!(
            Peer::new(&pki).shown(to, "a.test").await,
            of(pair),
            "the new serial"
        );
        let before = count.load(Ordering::Relaxed);
        let name = format!("clients come and go after swap {at}");
        eventually(&name, async || count.load(Ordering::Relaxed) >= before + 8).await;
    }
    stop.store(true, Ordering::Relaxed);
    // A client that failed has panicked, and that is passed on here.
    within("the last clients leave", clients.join_all()).await;
    let metrics = filed.gateway.admin("/metrics").await;
    assert!(
        metrics
            .text()
            .contains("twolane_tls_handshake_failures_total 0")
    );
    assert!(count.load(Ordering::Relaxed) >= 8 * SWAPS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn f229_a_file_that_changes_is_read_again_without_being_told_to() {
    let pki = Pki::new();
    let (served, next) = (
        pki.issue("served", "DNS:a.test"),
        pki.issue("next", "DNS:a.test"),
    );
    let (_node, filed) = gateway(&served, POLLED).await;
    let to = filed.gateway.embedded.tls().unwrap();
    assert_eq!(Peer::new(&pki).shown(to, "a.test").await, of(&served));
    let stays = Peer::new(&pki).connect(to, "a.test").await;
    renew(&served, &next);
    eventually("the new certificate is shown", async || {
        Peer::new(&pki).shown(to, "a.test").await == of(&next)
    })
    .await;
    // Whoever was connected stays so.
    let answer = ask(&mut stays.unwrap(), "a.test", HEALTH).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_does_not_fit_is_refused_and_the_old_one_serves_on_until_it_does() {
    let pki = Pki::new();
    let (served, next) = (
        pki.issue("served", "DNS:a.test"),
        pki.issue("next", "DNS:a.test"),
    );
    let (_node, filed) = gateway(&served, BY_HAND).await;
    let (old, to) = (of(&served), filed.gateway.embedded.tls().unwrap());
    fs::copy(&next.cert, &served.cert).unwrap();
    let refused = filed.gateway.embedded.reload().await.unwrap_err();
    for word in [
        "tls.certificates[0].key",
        "served.key",
        "does not belong to",
        "take the",
    ] {
        assert!(refused.contains(word), "{word} in {refused}");
    }
    let metrics = filed.gateway.admin("/metrics").await;
    assert!(
        metrics
            .text()
            .contains("twolane_config_last_reload_successful 0")
    );
    assert_eq!(Peer::new(&pki).shown(to, "a.test").await, old);
    fs::copy(&next.key, &served.key).unwrap();
    let changes = filed.gateway.embedded.reload().await.expect("now they fit");
    assert!(
        changes
            .iter()
            .any(|change| change.contains("tls.certificates")),
        "{changes:?}"
    );
    assert_eq!(Peer::new(&pki).shown(to, "a.test").await, of(&next));
}

/// Half a renewal is seen by the poll, told once, and mended by the other half although the
/// configuration itself never changed.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_renewal_is_refused_and_the_other_half_mends_it_by_itself() {
    let pki = Pki::new();
    let (served, next) = (
        pki.issue("served", "DNS:a.test"),
        pki.issue("next", "DNS:a.test"),
    );
    let (_node, filed) = gateway(&served, POLLED).await;
    let to = filed.gateway.embedded.tls().unwrap();
    // A line of its own: the help of this metric begins with a digit too.
    let metric = async |line: &str| filed.gateway.admin("/metrics").await.text().contains(line);
    fs::copy(&next.cert, &served.cert).unwrap();
    eventually("the half is refused", async || {
        metric("\ntwolane_config_last_reload_successful 0").await
    })
    .await;
    fs::copy(&next.key, &served.key).unwrap();
    eventually("the whole is taken", async || {
        metric("\ntwolane_config_last_reload_successful 1").await
    })
    .await;
    assert_eq!(Peer::new(&pki).shown(to, "a.test").await, of(&next));
}

/// A session of before must not open what has been closed since.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_demanded_from_now_on_is_not_avoided_by_an_old_session() {
    let pki = Pki::new();
    let served = pki.issue("served", "DNS:a.test");
    let (node, filed) = gateway(&served, BY_HAND).await;
    let to = filed.gateway.embedded.tls().unwrap();
    let peer = Peer::new(&pki);
    for _ in 0..2 {
        // The second one resumes the first one's session: the client holds tickets by now.
        peer.get(to, "a.test", HEALTH).await.unwrap();
    }
    let more = format!(
        "  client: {{ certificate: required, ca: {} }}\n",
        pki.ca().display()
    );
    let named = [(node.id().to_owned(), node.addr())];
    let text = yaml(&named, &format!("{BY_HAND}{}", section(&[&served], &more)));
    filed.take(&text).await;
    let answer = peer.get(to, "a.test", HEALTH).await;
    assert!(answer.is_err(), "{answer:?}");
    let friend = pki.issue("friend", "DNS:friend");
    let answer = Peer::showing(&pki, &friend)
        .get(to, "a.test", HEALTH)
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
