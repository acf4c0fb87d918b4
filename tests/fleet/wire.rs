//! A wire between gateways and Redis that counts round trips, and can be cut, delayed and garbled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to what Redis says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mood {
    /// It passes.
    Plain,
    /// Nobody answers: connections are accepted and closed at once.
    Closes,
    /// Connections are accepted, and then nothing.
    Silent,
    /// Answers come so much later.
    Late(Duration),
    /// The connection breaks in the middle of each answer.
    CutShort,
    /// Half an answer, and then nothing.
    Half,
    /// Something else comes instead.
    Says(&'static [u8]),
    /// Everything passes, each piece twice.
    Twice,
}

/// Listens, and passes everything on.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    mood: watch::Sender<Mood>,
    asked: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn to(redis: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, moods) = watch::channel(Mood::Plain);
        let asked = Arc::<AtomicU64>::default();
        let task = tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                loop {
                    let Ok((client, _)) = listener.accept().await else {
                        return;
                    };
                    tokio::spawn(pass(client, redis, moods.clone(), Arc::clone(&asked)));
                }
            }
        });
        Self {
            address,
            mood,
            asked,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// From now on; connections that are open feel it too.
    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Times that a gateway sent something: round trips.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    redis: SocketAddr,
    mut moods: watch::Receiver<Mood>,
    asked: Arc<AtomicU64>,
) {
    if *moods.borrow_and_update() == Mood::Closes {
        return;
    }
    let Ok(mut server) = TcpStream::connect(redis).await else {
        return;
    };
    let (mut question, mut answer) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(many @ 1..) = read else { return };
                asked.fetch_add(1, Ordering::Relaxed);
                if server.write_all(&question[..many]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answer) => {
                let Ok(many @ 1..) = read else { return };
                let mood = moods.borrow_and_update().clone();
                let piece = &answer[..many];
                let went = match mood {
                    Mood::Plain => client.write_all(piece).await,
                    Mood::Closes => return,
                    Mood::Silent => Ok(()),
                    Mood::Late(by) => {
                        tokio::time::sleep(by).await;
                        client.write_all(piece).await
                    }
                    Mood::CutShort => {
                        let _ = client.write_all(&piece[..many / 2]).await;
                        let _ = client.set_zero_linger();
                        return;
                    }
                    Mood::Half => client.write_all(&piece[..many / 2]).await,
                    Mood::Says(other) => client.write_all(other).await,
                    Mood::Twice => {
                        let _ = client.write_all(piece).await;
                        client.write_all(piece).await
                    }
                };
                if went.is_err() {
                    return;
                }
            }
            changed = moods.changed() => {
                if changed.is_err() || *moods.borrow() == Mood::Closes {
                    return;
                }
            }
        }
    }
}
