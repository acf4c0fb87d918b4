//! How do bytes go both ways between two connections, and when does that end?

use parking_lot::Mutex;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep_until, timeout};

/// When one side has closed, so long the other may still send what was under way.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What is read at once, per direction.
const PIECE: usize = 16 * 1024;

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client closed, or its connection broke.
    Client,
    /// The node closed, or its connection broke.
    Node,
    /// No byte went either way for the idle time.
    Idle,
}

impl Ended {
    /// The word in the log.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Client => "client_closed",
            Self::Node => "node_closed",
            Self::Idle => "idle",
        }
    }
}

/// Copies both ways until either side closes or nothing moves for `idle`. A close is passed on,
/// then the other side has a moment for its last bytes; both are closed when this returns.
pub(super) async fn relay<C, N>(client: C, node: N, idle: Duration) -> Ended
where
    C: AsyncRead + AsyncWrite,
    N: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_node, to_node) = split(node);
    let moved = Mutex::new(Instant::now());
    let up = pump(from_client, to_node, &moved);
    let down = pump(from_node, to_client, &moved);
    tokio::pin!(up, down);
    // The last words are for their reader alone: whether they came through changes nothing.
    tokio::select! {
        _closed = &mut up => {
            let _ = timeout(LAST_WORDS, down).await;
            Ended::Client
        }
        _closed = &mut down => {
            let _ = timeout(LAST_WORDS, up).await;
            Ended::Node
        }
        () = nothing_moves(&moved, idle) => Ended::Idle,
    }
}

/// Copies one way until the reader's end, and passes the end on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Mutex<Instant>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        *moved.lock() = Instant::now();
        to.write_all(&piece[..read]).await?;
        // Pingora's streams hold small pieces back.
        to.flush().await?;
        *moved.lock() = Instant::now();
    }
    to.shutdown().await
}

async fn nothing_moves(moved: &Mutex<Instant>, idle: Duration) {
    loop {
        let until = *moved.lock() + idle;
        sleep_until(until).await;
        if *moved.lock() + idle <= Instant::now() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    const IDLE: Duration = Duration::from_secs(200);

    fn rig() -> (DuplexStream, DuplexStream, JoinHandle<Ended>) {
        let (client, client_end) = duplex(1024);
        let (node, node_end) = duplex(1024);
        let ended = tokio::spawn(relay(client_end, node_end, IDLE));
        (client, node, ended)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_borne_up_to_the_idle_time_and_no_longer() {
        let (mut client, mut node, ended) = rig();
        let start = Instant::now();
        let mut byte = [0];
        for _ in 0..5 {
            // Longer than a daemon or an SDK is ever silent; one direction is enough.
            sleep(Duration::from_secs(199)).await;
            assert!(!ended.is_finished(), "closed after {:?}", start.elapsed());
            node.write_all(b"x").await.expect("it is open");
            client.read_exact(&mut byte).await.expect("it came through");
        }
        let spoken = Instant::now();
        assert_eq!(ended.await.expect("no panic"), Ended::Idle);
        assert_eq!(spoken.elapsed().as_secs(), IDLE.as_secs());
        assert_eq!(client.read(&mut byte).await.ok(), Some(0));
        assert_eq!(node.read(&mut byte).await.ok(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_takes_nothing_is_idle() {
        let (mut client, _node, ended) = rig();
        let writing = async { while client.write_all(&[0; 4096]).await.is_ok() {} };
        tokio::join!(writing, async {
            assert_eq!(ended.await.expect("no panic"), Ended::Idle);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_is_passed_on_and_the_answer_under_way_still_comes() {
        let (mut client, mut node, ended) = rig();
        client.write_all(b"last").await.expect("it is open");
        client.shutdown().await.expect("it closes");
        let mut asked = Vec::new();
        node.read_to_end(&mut asked)
            .await
            .expect("bytes and an end");
        node.write_all(b"answer").await.expect("still open");
        drop(node);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("and an end");
        assert_eq!((asked, answer), (b"last".to_vec(), b"answer".to_vec()));
        assert_eq!(ended.await.expect("no panic"), Ended::Client);
    }

    #[tokio::test(start_paused = true)]
    async fn when_one_side_closes_the_other_is_closed_soon_whatever_it_does() {
        let (mut client, node, ended) = rig();
        drop(node);
        assert_eq!(ended.await.expect("no panic"), Ended::Node);
        assert_eq!(client.read(&mut [0]).await.ok(), Some(0));
        assert!(client.write_all(b"x").await.is_err());
    }
}
