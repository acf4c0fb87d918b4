//! How is a node of a running gateway drained from the command line?

use super::typed::{From, Operate};
use super::{UNAVAILABLE, on_runtime, out, serve};
use crate::admin::ask;
use crate::model::Secret;
use crate::nodes::Hand;
use crate::server::Builder;
use http::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// What `ExitCode::FAILURE` says.
const FAILED: u8 = 1;
/// How often the rest is counted while waiting.
const LOOK: Duration = Duration::from_millis(500);

/// Where the admin listener is, and what opens it.
pub(super) struct Door {
    admin: SocketAddr,
    token: Option<Secret>,
}

impl Door {
    /// The status of one page.
    pub(super) async fn status(&self, path: &str) -> Result<u16, String> {
        let answer = ask(self.admin, self.token.as_ref(), Method::GET, path, "").await;
        let (status, _) =
            answer.map_err(|error| format!("no gateway answers on {}: {error}", self.admin))?;
        Ok(status)
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Value, ExitCode> {
        self.try_ask(method, path, body).await.map_err(|no| {
            let (code, what) = no;
            eprintln!("twolane: {what}");
            ExitCode::from(code)
        })
    }

    /// The same, for whoever shows the error in another place.
    #[cfg(feature = "tui")]
    pub(super) async fn ask_quietly(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Value, String> {
        let answer = self.try_ask(method, path, body).await;
        answer.map_err(|(_, what)| what)
    }

    async fn try_ask(&self, method: Method, path: &str, body: &str) -> Result<Value, (u8, String)> {
        let answer = ask(self.admin, self.token.as_ref(), method, path, body).await;
        match answer {
            Ok((200, body)) => serde_json::from_str(&body).map_err(|error| {
                let what = format!("the gateway's answer is not understood: {error}");
                (FAILED, what)
            }),
            Ok((_, body)) => Err((FAILED, body.trim_end().to_owned())),
            Err(error) => {
                let what = format!("no gateway answers on {}: {error}", self.admin);
                Err((UNAVAILABLE, what))
            }
        }
    }
}

/// The door of the gateway that the configuration describes, or that stands at `admin`.
pub(super) fn door(
    from: &From,
    builder: &Builder,
    admin: Option<SocketAddr>,
) -> Result<Door, ExitCode> {
    match (serve::load(from, builder), admin) {
        (Ok((loaded, _)), admin) => Ok(Door {
            admin: admin.unwrap_or(loaded.config.admin.listen),
            token: loaded.config.admin.token,
        }),
        // Without a configuration the address must be given, and a token may be.
        (Err(_), Some(admin)) => Ok(Door {
            admin,
            token: std::env::var("TWOLANE_ADMIN_TOKEN").ok().map(Secret::new),
        }),
        (Err(problems), None) => Err(serve::refuse(&problems)),
    }
}

pub(super) fn set(from: &From, builder: &Builder, what: &Operate, hand: Hand) -> ExitCode {
    let door = match door(from, builder, what.admin) {
        Ok(door) => door,
        Err(code) => return code,
    };
    let done = on_runtime(async { Ok(carry_out(&door, what, hand).await) });
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(code)) => code,
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(door: &Door, what: &Operate, hand: Hand) -> Result<(), ExitCode> {
    let path = format!("/api/v1/nodes/{}", what.node);
    let wish = json!({ "state": hand.word() }).to_string();
    let mut row = door
        .ask(Method::PUT, &format!("{path}/state"), &wish)
        .await?;
    let mut told = None;
    loop {
        let running = row["in_flight"]["total"].as_u64().unwrap_or(0);
        if told != Some(running) {
            told = Some(running);
            out(&format!("{}: {}, {}\n", what.node, hand.word(), rest(&row)));
        }
        if !what.wait || running == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
        row = door.ask(Method::GET, &path, "").await?;
    }
}

/// What still runs on a node, and until when, as its row says.
fn rest(row: &Value) -> String {
    let count = |class: &str| row["in_flight"][class].as_u64().unwrap_or(0);
    let running = format!("{} in flight", count("total"));
    if count("total") == 0 {
        return running;
    }
    let until = match row["expected_idle_in_s"].as_f64() {
        Some(seconds) => format!("idle in about {} s", seconds.ceil()),
        None => "until when is not known".to_owned(),
    };
    let (short, long) = (count("short"), count("long"));
    format!("{running} ({short} short, {long} long), {until}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_told_with_its_end_where_that_is_known() {
        let row = |short, long, idle: Value| {
            let total = short + long;
            let in_flight = json!({ "short": short, "long": long, "total": total });
            rest(&json!({ "in_flight": in_flight, "expected_idle_in_s": idle }))
        };
        assert_eq!(row(0, 0, json!(0.0)), "0 in flight");
        assert_eq!(
            row(2, 1, json!(11.2)),
            "3 in flight (2 short, 1 long), idle in about 12 s"
        );
        assert_eq!(
            row(0, 1, Value::Null),
            "1 in flight (0 short, 1 long), until when is not known"
        );
    }
}
