//! A name that leads to many addresses. The resolver is the test's: there is no honest way to make
//! the system's say something else.

use crate::rig::{become_members, become_up, members, works, yaml};
use crate::support::eventually;
use crate::support::gateway::{Gateway, parse};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use twolane::demo::daemon::{Daemon, Settings, World};
use twolane::server::Options;
use twolane::upstream::discovery::Lookup;

type Zone = Arc<Mutex<io::Result<Vec<IpAddr>>>>;

fn lookup(zone: &Zone) -> Option<Lookup> {
    let zone = Arc::clone(zone);
    Some(Lookup::new(move |host| {
        assert_eq!(host, "plugin-daemon");
        let answer = match &*zone.lock().unwrap() {
            Ok(found) => Ok(found.clone()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        async move { answer }
    }))
}

fn say(zone: &Zone, last: &[u8]) {
    let ips = last.iter().map(|&n| IpAddr::from([127, 0, 0, n]));
    *zone.lock().unwrap() = Ok(ips.collect());
}

/// Three daemons with one port and an address each, as replicas of a service have.
async fn replicas() -> (u16, Vec<Daemon>) {
    let world = World::default();
    for _ in 0..50 {
        let mut port = 0;
        let mut daemons = Vec::new();
        for n in 1..=3 {
            let settings = Settings {
                listen: SocketAddr::from(([127, 0, 0, n], port)),
                ..Settings::named(&format!("n{n}"), &world)
            };
            let Ok(daemon) = Daemon::start(settings).await else {
                break;
            };
            port = daemon.addr().port();
            daemons.push(daemon);
        }
        if daemons.len() == 3 {
            return (port, daemons);
        }
    }
    panic!("no port is free on three addresses");
}

#[tokio::test(flavor = "multi_thread")]
async fn f243_every_address_of_a_name_is_a_node_and_no_answer_changes_nothing() {
    let (port, daemons) = replicas().await;
    let zone: Zone = Arc::new(Mutex::new(Ok(Vec::new())));
    say(&zone, &[1, 2]);
    let options = Options {
        lookup: lookup(&zone),
        ..Options::default()
    };
    let text = yaml(&format!("  dns: plugin-daemon:{port}\n"), "");
    let gateway = Gateway::start_with(parse(&text), options).await;
    let names: Vec<_> = daemons.iter().map(|node| node.addr().to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    become_members(&gateway, &names[..2]).await;
    say(&zone, &[3, 2, 1]);
    become_members(&gateway, &names).await;
    eventually("all of them work", async || {
        works(&gateway).await;
        daemons[0].ledger().per_node().len() == 3
    })
    .await;

    say(&zone, &[]);
    become_up(&gateway, false).await;
    assert_eq!(members(&gateway).len(), 3, "nobody is no answer");
    say(&zone, &[2, 3]);
    become_members(&gateway, &names[1..]).await;
    become_up(&gateway, true).await;
    *zone.lock().unwrap() = Err(io::Error::other("NXDOMAIN"));
    become_up(&gateway, false).await;
    assert_eq!(members(&gateway).len(), 2);
    works(&gateway).await;
}
