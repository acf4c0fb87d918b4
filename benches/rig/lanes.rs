//! Who is compared, and how is each set?
//!
//! Every proxy has one thread, keeps its connections on both sides, holds nothing back and waits for
//! no acknowledgement. None writes an access log, as the gateway does not by default.

use super::process::{Child, answers, free, room};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One way to the daemons.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) at: SocketAddr,
    /// None where there is no proxy.
    pub(crate) child: Option<Child>,
}

/// Starts those that are there; says who is not.
pub(crate) async fn start(names: &[&'static str], daemons: &[SocketAddr]) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for (&name, at) in names.iter().zip(free(names.len())) {
        lanes.extend(one(name, at, daemons).await);
    }
    lanes
}

/// Starts one, if it is there.
pub(crate) async fn one(
    name: &'static str,
    at: SocketAddr,
    daemons: &[SocketAddr],
) -> Option<Lane> {
    let (at, child) = match name {
        "direct" => (daemons[0], None),
        "nginx" | "haproxy" => (at, Some(installed(name, at, daemons)?)),
        _ => (at, Some(Child::start(name, &[at], daemons))),
    };
    answers(at).await;
    Some(Lane { name, at, child })
}

/// Starts nginx or HAProxy, if it is there; says if it is not.
pub(crate) fn installed(name: &str, at: SocketAddr, daemons: &[SocketAddr]) -> Option<Child> {
    let program = find(name);
    if program.is_none() {
        println!("SKIPPED: no {name} here, its lane is missing: sh deploy/setup.sh {name}");
    }
    Some(rival(name, &program?, at, daemons))
}

/// Where Debian puts servers, who is not root does not look.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/usr/sbin");
    let more = [PathBuf::from("/usr/sbin"), own];
    let mut folders = std::env::split_paths(&path).chain(more);
    folders.find_map(|folder| Some(folder.join(name)).filter(|it| it.is_file()))
}

fn rival(name: &str, program: &Path, at: SocketAddr, daemons: &[SocketAddr]) -> Child {
    let folder = tempfile::tempdir().expect("a folder for what it writes");
    let file = folder.path().join("rival.conf");
    let text = match name {
        "nginx" => nginx(folder.path(), at, daemons),
        _ => haproxy(at, daemons),
    };
    fs::write(&file, text).expect("the folder is ours");
    let mut command = Command::new(program);
    match name {
        "nginx" => command.arg("-p").arg(folder.path()).arg("-c").arg(&file),
        _ => command.arg("-db").arg("-q").arg("-f").arg(&file),
    };
    Child::spawn(command, Some(folder))
}

fn nginx(folder: &Path, at: SocketAddr, daemons: &[SocketAddr]) -> String {
    let servers: String = daemons.iter().map(|it| format!("server {it};\n")).collect();
    let folder = folder.display();
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    // One process, so that all it does is counted in one place.
    format!(
        "daemon off; master_process off; worker_processes 1;\n\
         pid {folder}/pid; error_log {folder}/error.log error;\n\
         events {{ worker_connections 24000; }}\n\
         http {{\n{folders}\
         access_log off; keepalive_timeout 75s; keepalive_requests 1000000000;\n\
         upstream daemons {{\n{servers}keepalive 512; keepalive_requests 1000000000; }}\n\
         server {{ listen {at} backlog=4096;\n\
         location / {{ proxy_pass http://daemons; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_buffering off; proxy_request_buffering off;\n\
         proxy_read_timeout 660s; proxy_send_timeout 60s; send_timeout 660s; }} }} }}\n"
    )
}

fn haproxy(at: SocketAddr, daemons: &[SocketAddr]) -> String {
    let servers: String = (0..)
        .zip(daemons)
        .map(|(n, at)| format!("    server d{n} {at}\n"))
        .collect();
    let most = room(10_000) + 20;
    format!(
        "global\n    nbthread 1\n    maxconn {most}\n\
         defaults\n    mode http\n    option http-no-delay\n    http-reuse always\n\
         \x20   timeout connect 1s\n    timeout client 660s\n    timeout server 660s\n\
         \x20   timeout http-keep-alive 75s\n\
         frontend in\n    bind {at} backlog 4096\n    default_backend daemons\n\
         backend daemons\n    balance roundrobin\n{servers}"
    )
}
