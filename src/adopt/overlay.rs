//! Which two files put the gateway in front?

use super::plan::{GATEWAY, Plan};
use std::fmt::Write;

/// The first line of every file of ours: a file without it is somebody else's.
pub const MARK: &str = "# Written by `twolane init dify`.";

/// The file that Compose reads beside Dify's own.
#[must_use]
pub fn override_yaml(plan: &Plan) -> String {
    let mut text = String::new();
    write_override(plan, &mut text).expect("writing into memory cannot fail");
    text
}

fn write_override(plan: &Plan, to: &mut String) -> std::fmt::Result {
    let daemon = &plan.daemon;
    writeln!(
        to,
        "{MARK} Puts the gateway in front of the plugin daemons.\n\
         # Docker Compose 2.24.4 or later. `docker compose up -d` begins it; remove this file and say it again\n\
         # to go back.\n\
         services:\n  {GATEWAY}:\n    image: {}\n    restart: always",
        plan.image
    )?;
    let stop = plan.deadline().as_secs() + 30;
    writeln!(
        to,
        "    # The longest call of a plugin, and a minute. It ends as soon as nothing is in flight.\n    \
             stop_grace_period: {stop}s\n    \
             volumes: [\"./twolane.yaml:/etc/twolane/twolane.yaml:ro\"]\n    \
             # Plugins in development: several daemons cannot all have one port of the host.\n    \
             ports: [\"{}:5003\"]\n    \
             healthcheck:\n      test: [CMD, twolane, health, --ready]\n      \
             interval: 5s\n      timeout: 2s\n      retries: 3\n      start_period: 5s",
        plan.debugging_outside
    )?;
    if !plan.networks.is_empty() {
        writeln!(to, "    networks: [{}]", plan.networks.join(", "))?;
    }
    writeln!(
        to,
        "  {daemon}:\n    deploy: {{ replicas: {} }}\n    ports: !reset []\n    environment:\n      \
               # Unpacked plugins stay with each container: two must not write into one folder.\n      \
               PLUGIN_WORKING_PATH: /app/cwd",
        plan.replicas
    )?;
    for (service, variable) in &plan.redirected {
        let url = plan.url();
        writeln!(
            to,
            "  {service}:\n    environment: {{ {variable}: \"{url}\" }}"
        )?;
    }
    Ok(())
}

/// Nobody else reaches the data port: the override publishes it to no one.
const TRUSTED: &str = "\
# Where Docker puts containers, and so Dify's nginx: what it says about callers of webhooks is taken.
# Narrow it if your networks are others, and before you publish port 5002 to anybody.
trusted_proxies: [172.16.0.0/12, 192.168.0.0/16]
";

/// The gateway's configuration.
#[must_use]
pub fn gateway_yaml(plan: &Plan) -> String {
    let (daemon, port) = (&plan.daemon, plan.port);
    let (read, deadline) = (plan.read_timeout().as_secs(), plan.deadline().as_secs());
    let debugging = plan.debugging;
    let mut text = format!(
        "{MARK} Change it as you like: it is read again within seconds.\n\
         # Every key, its default and the reason for it: conf/reference.yaml.\n\
         discover:\n  \
           # Every container of the service is a node.\n  \
           dns: {daemon}:{port}\n\
         tcp:\n  \
           # Plugins in development connect here and are passed on.\n  \
           listen: 0.0.0.0:5003\n  \
           port: {debugging}\n\
         timeouts:\n  \
           # The longest call of a plugin and a minute: the daemon is to be the first to end.\n  \
           read: {read}s\n\
         shutdown:\n  \
           deadline: {deadline}s\n"
    );
    if plan.behind_nginx {
        text.push_str(TRUSTED);
    }
    text
}
