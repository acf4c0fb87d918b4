//! A stand-in for Dify's own API (`/v1/*`): notes what came, says who it is.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use twolane::demo::daemon::checksum;

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Came {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub length: usize,
    pub checksum: u64,
}

impl Came {
    /// All values of a header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let same = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        let found = self.headers.iter().filter(same);
        found.map(|(_, value)| value.as_str()).collect()
    }
}

/// A running API. It ends when it is dropped.
pub struct Api {
    pub name: String,
    pub address: SocketAddr,
    came: Arc<Mutex<VecDeque<Came>>>,
    task: JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let came = Arc::<Mutex<VecDeque<Came>>>::default();
        let (noted, own) = (Arc::clone(&came), name.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, own) = (Arc::clone(&noted), own.clone());
                tokio::spawn(async move { serve(stream, &own, &noted).await });
            }
        });
        Self {
            name: name.to_owned(),
            address,
            came,
            task,
        }
    }

    /// What came so far, without checks of its health.
    pub fn came(&self) -> Vec<Came> {
        let all = self.came.lock().expect("nobody panics with it");
        let asked = all.iter().filter(|came| !came.line.contains(" /health "));
        asked.cloned().collect()
    }

    /// How often it was asked whether it is well.
    pub fn checks(&self) -> usize {
        let all = self.came.lock().expect("nobody panics with it");
        all.len()
            - all
                .iter()
                .filter(|came| !came.line.contains(" /health "))
                .count()
    }
}

async fn serve(stream: TcpStream, name: &str, noted: &Mutex<VecDeque<Came>>) -> Option<()> {
    let mut wire = BufReader::new(stream);
    loop {
        let line = read_line(&mut wire).await?;
        let mut headers = Vec::new();
        loop {
            let header = read_line(&mut wire).await?;
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let came = Came {
            line,
            headers,
            length: 0,
            checksum: 0,
        };
        if !came.values("expect").is_empty() {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .ok()?;
        }
        let body = body(&mut wire, &came).await?;
        let health = came.line.contains(" /health ");
        let said = String::from_utf8_lossy(&body);
        let streams = said.contains(r#""response_mode":"streaming""#);
        noted
            .lock()
            .expect("nobody panics with it")
            .push_back(Came {
                length: body.len(),
                checksum: checksum(&body),
                ..came
            });
        let answered = if streams {
            stream_events(&mut wire, name).await
        } else {
            let text = if health {
                r#"{"pid":1,"status":"ok","version":"1.9.2"}"#.to_owned()
            } else {
                format!(r#"{{"answered_by":"{name}"}}"#)
            };
            answer(&mut wire, &text).await
        };
        answered.ok()?;
    }
}

async fn answer(wire: &mut BufReader<TcpStream>, text: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    wire.write_all(head.as_bytes()).await
}

async fn stream_events(wire: &mut BufReader<TcpStream>, name: &str) -> std::io::Result<()> {
    wire.write_all(STREAM_HEAD).await?;
    for event in ["message", "message", "message_end"] {
        let event = format!("data: {{\"event\":\"{event}\",\"by\":\"{name}\"}}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        wire.write_all(chunk.as_bytes()).await?;
        wire.flush().await?;
    }
    wire.write_all(b"0\r\n\r\n").await
}

async fn read_line(wire: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = wire.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

async fn body(wire: &mut BufReader<TcpStream>, came: &Came) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if let [length] = came.values("content-length").as_slice() {
        body.resize(length.parse().ok()?, 0);
        wire.read_exact(&mut body).await.ok()?;
    } else if !came.values("transfer-encoding").is_empty() {
        loop {
            let size = usize::from_str_radix(&read_line(wire).await?, 16).ok()?;
            let before = body.len();
            body.resize(before + size, 0);
            wire.read_exact(&mut body[before..]).await.ok()?;
            read_line(wire).await?;
            if size == 0 {
                break;
            }
        }
    }
    Some(body)
}
