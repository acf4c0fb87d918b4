//! The image and the unit.

use super::schemas::linter;
use super::{root, yaml};
use std::process::Command;

fn lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn f218_the_image_is_pinned_rootless_and_asks_itself_for_its_health() {
    let dockerfile = lines("deploy/docker/Dockerfile");
    let of = |word: &str| {
        let mut found = dockerfile.iter().filter(|line| line.starts_with(word));
        found.next_back().cloned().unwrap_or_default()
    };
    for base in dockerfile.iter().filter(|line| line.starts_with("FROM")) {
        assert!(base.contains(':') && !base.contains(":latest"), "{base}");
    }
    assert_eq!(of("USER"), "USER 65532:65532");
    assert!(of("HEALTHCHECK").contains(r#"["/usr/local/bin/twolane", "health"]"#));
    assert_eq!(of("STOPSIGNAL"), "STOPSIGNAL SIGTERM");
    let copied = dockerfile
        .iter()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .filter_map(|line| line.split_whitespace().next());
    let mut seen = 0;
    for file in copied {
        assert!(root().join(file).exists(), "{file} is there to be copied");
        seen += 1;
    }
    assert!(seen >= 2, "only {seen} were seen");
    let ignored = lines(".dockerignore");
    assert!(ignored.contains(&"target".to_owned()), "builds stay small");
}

#[test]
fn the_image_is_written_as_hadolint_wants_it() {
    let Some(mut hadolint) = linter("hadolint") else {
        return;
    };
    let file = root().join("deploy/docker/Dockerfile");
    let ran = hadolint.arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
}

#[test]
fn f220_the_unit_checks_before_it_reloads_and_waits_for_streams() {
    let unit = lines("deploy/systemd/twolane.service");
    let reloads: Vec<_> = unit
        .iter()
        .filter(|line| line.starts_with("ExecReload="))
        .collect();
    assert!(reloads[0].contains(" check "), "first it is checked");
    assert!(reloads[1].contains("-HUP $MAINPID"), "then taken");
    let says = |line: &str| unit.iter().any(|one| one == line);
    assert!(says("RestartPreventExitStatus=78"));
    assert!(says("TimeoutStopSec=660"), "longer than shutdown.deadline");
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(root().join("deploy/systemd/twolane.service"))
        .output();
    let Ok(verified) = verified else {
        eprintln!("systemd-analyze is not there: the unit was only read");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // That the program is not installed here is no mistake of the unit.
    let mistakes: Vec<_> = said
        .lines()
        .filter(|line| line.contains("twolane.service") && !line.contains("not executable"))
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

/// A unit that may do little: systemd's own score, of 10 for one that may do everything.
#[test]
fn the_unit_gives_away_what_the_program_does_not_need() {
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20"]);
    let ran = security
        .arg(root().join("deploy/systemd/twolane.service"))
        .output();
    let Ok(ran) = ran else {
        eprintln!("systemd-analyze is not there: the unit was not weighed");
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "over 2.0: {said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

/// Whoever knew the daemon knows where the gateway listens.
#[test]
fn f238_the_data_port_is_the_daemons_own_everywhere() {
    let config = twolane::config::Config::default_with([]);
    assert_eq!(config.listen, ["0.0.0.0:5002".parse().unwrap()]);
    let dockerfile = lines("deploy/docker/Dockerfile");
    assert!(dockerfile.contains(&"EXPOSE 5002 5003 5012".to_owned()));
    let service = super::documents("deploy/kubernetes/base/service.yaml");
    let ports = service.iter().find_map(|one| one.pointer("/spec/ports/0"));
    assert_eq!(ports.unwrap()["port"], 5002);
    for version in ["dify-1.13", "dify-1.17"] {
        let file = format!("deploy/compose/{version}/docker-compose.override.yaml");
        let text = lines(&file).join("\n");
        assert!(text.contains("http://twolane:5002"), "{file}");
    }
}

#[test]
fn f230_each_way_to_run_it_says_where_its_log_and_its_memory_are() {
    for (folder, words) in [
        ("docker", ["docker logs", "docker stats"]),
        ("compose", ["docker compose logs", "docker stats"]),
        ("kubernetes", ["kubectl logs", "kubectl top pod"]),
        ("systemd", ["journalctl -u twolane", "systemctl status"]),
    ] {
        let page = lines(&format!("deploy/{folder}/README.md")).join("\n");
        for word in words {
            assert!(page.contains(word), "deploy/{folder}: {word}");
        }
    }
}

#[test]
fn f250_a_gateway_that_ended_is_started_again_everywhere() {
    let unit = lines("deploy/systemd/twolane.service");
    assert!(unit.iter().any(|line| line == "Restart=on-failure"));
    for version in ["dify-1.13", "dify-1.17"] {
        let file = format!("deploy/compose/{version}/docker-compose.override.yaml");
        let text = lines(&file).join("\n").replace("!reset", "");
        let all = twolane::config::read_foreign(&text).unwrap();
        assert_eq!(all[0]["services"]["twolane"]["restart"], "always");
    }
    // A Deployment's pods have no other way.
    let pods = yaml("deploy/kubernetes/base/deployment.yaml");
    let policy = pods.pointer("/spec/template/spec/restartPolicy");
    assert_eq!(policy, None);
}

#[test]
fn every_yaml_below_deploy_is_sound() {
    let mut seen = 0;
    let mut folders = vec![root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Those of a chart are YAML only when they are rendered: helm.rs.
                if !path.ends_with("templates") {
                    folders.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|end| end == "yaml" || end == "yml")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                twolane::config::read_foreign(&text)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "only {seen} were seen");
    assert!(yaml("deploy/kubernetes/base/kustomization.yaml")["resources"].is_array());
}

#[test]
fn make_bench_runs_every_bench() {
    let makefile = lines("Makefile");
    let lists = makefile.iter().filter_map(|line| {
        let list = line.strip_prefix("WHOLE = ");
        list.or_else(|| line.strip_prefix("PARTS = "))
    });
    let mut run: Vec<_> = lists.flat_map(str::split_whitespace).collect();
    let cargo = lines("Cargo.toml");
    let named = cargo.windows(2).filter(|two| two[0] == "[[bench]]");
    let named = named.filter_map(|two| two[1].strip_prefix("name = "));
    let mut benches: Vec<_> = named.map(|name| name.trim_matches('"')).collect();
    // The table at the end, and what is run by `make race`.
    benches.retain(|name| !["owed", "race"].contains(name));
    benches.sort_unstable();
    run.sort_unstable();
    assert_eq!(run, benches);
}
