//! Who calls? Each call leaves at its intended time, whatever became of the others.

use super::event::Outcome;
use super::serve::written;
use super::trace::{Call, Race};
use super::wire;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::Instant;
use twolane::model::{Class, clock};

/// Connections that nobody uses at the moment, per target.
type Idle = Rc<RefCell<Vec<Vec<TcpStream>>>>;

/// Runs a race against one or several addresses in turn; outcomes come in no order.
pub(crate) fn run(race: &Race, header: &str, targets: &[SocketAddr]) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    let local = LocalSet::new();
    local.block_on(&runtime, all(race, header, targets))
}

async fn all(race: &Race, header: &str, targets: &[SocketAddr]) -> Vec<Outcome> {
    let idle: Idle = Rc::new(RefCell::new(targets.iter().map(|_| Vec::new()).collect()));
    let patience = Duration::from_secs_f64(race.patience);
    let mut tasks = Vec::with_capacity(race.calls.len());
    // A moment, so that the first ones are not late.
    let start = Instant::from_std(clock::now()) + Duration::from_millis(100);
    for (id, call) in race.calls.iter().enumerate() {
        let due = start + Duration::from_secs_f64(call.at);
        let bytes = bytes(call, header);
        let (mut outcome, idle) = (Outcome::of(call, 0.0), Rc::clone(&idle));
        let (at, to) = (id % targets.len(), targets[id % targets.len()]);
        tokio::time::sleep_until(due).await;
        tasks.push(tokio::task::spawn_local(async move {
            outcome.late = due.elapsed().as_secs_f64();
            let asked = tokio::time::timeout_at(due + patience, ask(&idle, at, to, &bytes)).await;
            let answered = asked.unwrap_or_else(|_elapsed| Err("too long".to_owned()));
            outcome.took = due.elapsed().as_secs_f64();
            match answered {
                Ok(told) => outcome.told = told,
                Err(why) => {
                    outcome.failed = Some(why);
                    // A quick failure is no quick answer.
                    outcome.took = patience.as_secs_f64();
                }
            }
            outcome
        }));
    }
    let mut outcomes = Vec::with_capacity(tasks.len());
    for task in tasks {
        outcomes.push(task.await.expect("a call ends"));
    }
    outcomes
}

/// As Dify writes it, but for one header.
fn bytes(call: &Call, header: &str) -> Vec<u8> {
    let it = call.operation;
    let (op, plugin, item) = (it.op, it.plugin, it.item);
    let provider = plugin.rsplit('/').next().unwrap_or(plugin);
    let body = if op.starts_with("tool") {
        format!(
            r#"{{"user_id":"5f1c","data":{{"provider":"{provider}","tool":"{item}","credentials":{{}},"tool_parameters":{{}}}}}}"#
        )
    } else {
        format!(
            r#"{{"data":{{"provider":"{provider}","model_type":"llm","model":"{item}","credentials":{{}},"prompt_messages":[]}},"user_id":"5f1c"}}"#
        )
    };
    let (size, length) = (written(&call.task), body.len());
    format!(
        "POST /plugin/5f1c/dispatch/{op} HTTP/1.1\r\nHost: daemon:5002\r\nX-Api-Key: key\r\n\
         X-Plugin-ID: {plugin}\r\n{header}: {size}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The class that the gateway told, if any.
async fn ask(
    idle: &Idle,
    at: usize,
    to: SocketAddr,
    bytes: &[u8],
) -> Result<Option<Class>, String> {
    let kept = loop {
        let Some(stream) = idle.borrow_mut()[at].pop() else {
            break None;
        };
        // Closed meanwhile: then there is something to read, its end.
        let mut byte = [0];
        if stream
            .try_read(&mut byte)
            .is_err_and(|it| it.kind() == std::io::ErrorKind::WouldBlock)
        {
            break Some(stream);
        }
    };
    let mut stream = match kept {
        Some(stream) => stream,
        None => connect(to).await.map_err(|error| error.to_string())?,
    };
    let sent = stream.write_all(bytes).await;
    sent.map_err(|error| format!("not sent: {error}"))?;
    let answer = wire::answer(&mut stream, &mut Vec::new()).await;
    let answer = answer.ok_or("broken off")?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(answer.lines().next().unwrap_or_default().to_owned());
    }
    idle.borrow_mut()[at].push(stream);
    Ok(match wire::header(&answer, "x-twolane-class") {
        Some("long") => Some(Class::Long),
        Some("short") => Some(Class::Short),
        _ => None,
    })
}

async fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
