//! The commands for those who operate: health, reload, check --online, completions, man.

use super::support::gateway::yaml;
use super::support::program::{Serving, command, errors, free, output, said};
use std::net::SocketAddr;
use std::path::Path;
use twolane::demo::daemon::{Daemon, Plugin, Settings};

async fn node() -> Daemon {
    Daemon::start(Settings::default()).await.unwrap()
}

async fn at(folder: &Path, admin: SocketAddr, words: &[&str]) -> (Option<i32>, String) {
    let admin = admin.to_string();
    let mut arguments = words.to_vec();
    arguments.extend(["--admin", &admin]);
    let ran = output(command(folder, &arguments)).await;
    (ran.status.code(), said(&ran) + &errors(&ran))
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_nought_or_one() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node().await);
    let text = yaml(
        &[(node.id().to_owned(), node.addr())],
        "health: { interval: 100ms }\n",
    );
    let serving = Serving::with_file(folder.path(), &text).await;
    let ask = async |words: &[&str], admin| at(folder.path(), admin, words).await.0;
    assert_eq!(ask(&["health"], serving.admin).await, Some(0));
    assert_eq!(ask(&["health", "--ready"], serving.admin).await, Some(0));
    assert_eq!(ask(&["health"], free()).await, Some(1));
    drop(node);
    super::support::eventually("readiness is gone, life is not", async || {
        ask(&["health", "--ready"], serving.admin).await == Some(1)
    })
    .await;
    assert_eq!(ask(&["health"], serving.admin).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn f220_reload_says_what_changed_and_a_refused_file_says_why() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node().await);
    let nodes = [(node.id().to_owned(), node.addr())];
    let off = "reload: { poll: \"off\" }\n";
    let serving = Serving::with_file(folder.path(), &yaml(&nodes, off)).await;
    let file = folder.path().join("gateway.yaml");
    let reload = async || at(folder.path(), serving.admin, &["reload"]).await;
    let (code, told) = reload().await;
    assert!(code == Some(0) && !told.contains("learn"), "{told}");
    let more = format!("{off}learn: {{ window: 9 }}\n");
    std::fs::write(&file, yaml(&nodes, &more)).unwrap();
    let (code, told) = reload().await;
    assert!(code == Some(0) && told.contains("learn.window"), "{told}");
    std::fs::write(&file, yaml(&nodes, "lern: {}\n")).unwrap();
    let (code, told) = reload().await;
    assert!(code == Some(1) && told.contains("lern"), "{told}");
    assert_eq!(at(folder.path(), free(), &["reload"]).await.0, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn f109_check_online_dials_everybody_and_names_who_does_not_answer() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node().await);
    let alive = (node.id().to_owned(), node.addr());
    let check = async |text: &str| {
        std::fs::write(folder.path().join("g.yaml"), text).unwrap();
        let arguments = ["check", "--online", "--config", "g.yaml"];
        let ran = output(command(folder.path(), &arguments)).await;
        (ran.status.code(), said(&ran))
    };
    let (code, told) = check(&yaml(std::slice::from_ref(&alive), "")).await;
    assert!(code == Some(0) && told.contains("ok    "), "{told}");
    let dead = ("n2".to_owned(), free());
    let redis = format!("share: {{ redis: \"redis://{}\" }}\n", free());
    let (code, told) = check(&yaml(&[alive, dead], &redis)).await;
    assert_eq!(code, Some(1), "{told}");
    let row = |word: &str| told.lines().find(|line| line.starts_with(word));
    let n2 = row("node n2").unwrap_or_default();
    assert!(
        n2.contains("fails") && n2.contains("connection refused"),
        "{told}"
    );
    assert!(row("redis").unwrap_or_default().contains("fails"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f248_plugins_says_what_is_missing_and_waits_for_it() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node().await);
    node.put_plugin(Plugin::absent("acme/slow"));
    let more = "expects: { plugins: [acme/slow], every: 100ms }\ncooldown: { absent: 100ms }\n\
                health: { interval: 100ms }\n";
    let text = yaml(&[(node.id().to_owned(), node.addr())], more);
    let serving = Serving::with_file(folder.path(), &text).await;
    let plugins = async |words: &[&str]| at(folder.path(), serving.admin, words).await;
    super::support::eventually("it is missed", async || {
        let (code, told) = plugins(&["plugins"]).await;
        code == Some(1) && told.contains("absent")
    })
    .await;
    let waits = plugins(&["plugins", "--wait"]);
    let comes = async { node.put_plugin(Plugin::running("acme/slow")) };
    let ((code, told), ()) = tokio::join!(waits, comes);
    assert!(code == Some(0) && told.contains("present"), "{told}");
    let admin = serving.admin.to_string();
    let words = ["plugins", "-o", "json", "--admin", &admin];
    let ran = output(command(folder.path(), &words)).await;
    let roll: serde_json::Value = serde_json::from_str(&said(&ran)).unwrap();
    assert_eq!((&roll["missing"], &roll["unknown"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn completions_and_the_manual_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = said(&output(command(folder.path(), &["help"])).await);
    let (_, commands) = help.split_once("Commands:").unwrap();
    let (commands, _) = commands.split_once("Options:").unwrap();
    let names: Vec<_> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 10, "{names:?}");
    let manual = said(&output(command(folder.path(), &["man"])).await);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = output(command(folder.path(), &["completions", shell])).await;
        assert!(ran.status.success(), "{shell}: {}", errors(&ran));
        for name in &names {
            assert!(said(&ran).contains(name), "{shell} knows {name}");
        }
    }
    for name in names.iter().filter(|name| **name != "help") {
        assert!(
            manual.contains(&format!(".TH twolane-{name}")),
            "{name} has a page"
        );
    }
}
