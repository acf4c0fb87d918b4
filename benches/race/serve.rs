//! How does a node answer on the wire? Time passes in it as in the event loop; the clock on the
//! wall decides when bytes leave. One light process plays all nodes.

use super::node::{Kind, Mark, Node, Sign, Task};
use super::wire;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use twolane::model::clock;

/// A stream says something this often.
const BEAT: Duration = Duration::from_secs(1);

struct Arrival {
    task: Task,
    signs: UnboundedSender<Sign>,
}

/// What a connection knows of its node.
struct Desk {
    /// The header with the size of a call; made up anew for each run, so that no gateway can know it.
    header: String,
    arrivals: UnboundedSender<Arrival>,
    /// Calls that are being answered.
    active: AtomicUsize,
}

/// Serves until the process ends.
pub(crate) fn run(kind: Kind, header: &str, listen: &[SocketAddr]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        for &address in listen {
            let listener = TcpListener::bind(address).await.expect("the port is free");
            let (arrivals, arrived) = unbounded_channel();
            let desk = Desk {
                header: header.to_ascii_lowercase(),
                arrivals,
                active: AtomicUsize::new(0),
            };
            tokio::spawn(work(Node::new(kind), arrived));
            tokio::spawn(accept(listener, Arc::new(desk)));
        }
        std::future::pending::<()>().await;
    });
}

/// The node's time.
async fn work(mut node: Node, mut arrived: UnboundedReceiver<Arrival>) {
    let start = Instant::from_std(clock::now());
    let mut callers: HashMap<usize, UnboundedSender<Sign>> = HashMap::new();
    let mut marks: Vec<Mark> = Vec::new();
    let mut id = 0;
    loop {
        let next = node.next().unwrap_or(1e6);
        let due = start + Duration::from_secs_f64(next.max(0.0));
        let arrival = tokio::select! {
            arrival = arrived.recv() => arrival,
            () = tokio::time::sleep_until(due) => None,
        };
        let now = start.elapsed().as_secs_f64();
        node.advance(now, &mut marks);
        if let Some(arrival) = arrival {
            id += 1;
            callers.insert(id, arrival.signs);
            node.arrive(now, id, arrival.task, &mut marks);
        }
        for mark in marks.drain(..) {
            // A caller may have left; the node works on, as a daemon does.
            let _ = callers[&mark.id].send(mark.sign);
            if mark.sign == Sign::Ended {
                callers.remove(&mark.id);
            }
        }
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    while let Ok((stream, _)) = listener.accept().await {
        // A small answer must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, Arc::clone(&desk)));
    }
}

/// One connection. Requests come one after the other.
async fn serve(mut stream: TcpStream, desk: Arc<Desk>) -> Option<()> {
    let mut held = Vec::new();
    loop {
        let request = wire::request(&mut stream, &mut held).await?;
        if request.starts_with("GET /health") {
            let running = desk.active.load(Ordering::Relaxed);
            let body = format!(
                r#"{{"status":"ok","active_requests":{running},"active_dispatch_requests":{running}}}"#
            );
            stream
                .write_all(wire::plain("200 OK", &body).as_bytes())
                .await
                .ok()?;
            continue;
        }
        let Some(task) = wire::header(&request, &desk.header).and_then(read) else {
            let body = r#"{"code":-400,"message":"no size"}"#;
            stream
                .write_all(wire::plain("400 Bad Request", body).as_bytes())
                .await
                .ok()?;
            continue;
        };
        desk.active.fetch_add(1, Ordering::Relaxed);
        let answered = answer(&mut stream, &desk, task).await;
        desk.active.fetch_sub(1, Ordering::Relaxed);
        answered?;
    }
}

/// `plugin head wait tail`, in microseconds.
fn read(text: &str) -> Option<Task> {
    let mut numbers = text.split(' ').map(|it| it.parse::<u32>().ok());
    let plugin = usize::try_from(numbers.next()??).ok()?;
    let mut seconds = || Some(f64::from(numbers.next()??) / 1e6);
    Some(Task {
        plugin,
        head: seconds()?,
        wait: seconds()?,
        tail: seconds()?,
    })
}

/// What `read` reads.
pub(crate) fn written(task: &Task) -> String {
    let micros = |seconds: f64| (seconds * 1e6).round();
    let [head, wait, tail] = [micros(task.head), micros(task.wait), micros(task.tail)];
    format!("{} {head} {wait} {tail}", task.plugin)
}

/// Events as a plugin's come: the first when it begins, one now and then, the last at its end.
async fn answer(stream: &mut TcpStream, desk: &Desk, task: Task) -> Option<()> {
    let (signs, mut told) = unbounded_channel();
    desk.arrivals.send(Arrival { task, signs }).ok()?;
    // A short call has one event, and its header leaves with it.
    let streams = task.alone() * 2.0 > BEAT.as_secs_f64();
    let mut open = false;
    loop {
        let sign = tokio::select! {
            sign = told.recv() => Some(sign?),
            () = tokio::time::sleep(BEAT), if open => None,
        };
        let ended = sign == Some(Sign::Ended);
        if !streams && !ended {
            continue;
        }
        let head = if open { "" } else { wire::STREAM };
        open = true;
        let end = if ended { wire::END } else { "" };
        let bytes = [head, wire::EVENT, end].concat();
        stream.write_all(bytes.as_bytes()).await.ok()?;
        if ended {
            return Some(());
        }
    }
}
