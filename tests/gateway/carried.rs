//! What becomes of a stream that goes on without Pingora? Byte for byte, over raw sockets: its end, what
//! comes behind it on both of its connections, and where it may not go on so.

use crate::support::gateway::{Gateway, parse};
use crate::support::within;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
const EVENTS: &str = "b\r\ndata: one\n\n\r\n5;odd=\"x\"\r\ndata:\r\n1\r\n \r\n";
const END: &str = "0\r\n\r\n";
/// What is in the chunks.
const BODY: &str = "data: one\n\ndata: ";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway, and where its node listens.
struct Rig {
    gateway: Gateway,
    node: TcpListener,
}

/// One end of a connection, and what was read from it and not looked at.
struct End {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Rig {
    async fn new() -> Self {
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nnodes: [\"{}\"]\n\
             health: {{ enabled: false, on_connect: false }}\n",
            node.local_addr().unwrap()
        );
        let gateway = Gateway::start(parse(&text)).await;
        Self { gateway, node }
    }

    fn addr(&self) -> SocketAddr {
        self.gateway.embedded.data()
    }

    async fn client(&self) -> End {
        End::of(TcpStream::connect(self.addr()).await.unwrap())
    }

    /// The gateway's next connection to its node.
    async fn accept(&self) -> End {
        let accepted = within("a connection to the node", self.node.accept()).await;
        End::of(accepted.unwrap().0)
    }

    /// A client that has asked, and the node's end of its request.
    async fn asked(&self, more: &str) -> (End, End) {
        let mut client = self.client().await;
        client.post(more).await;
        let mut node = self.accept().await;
        node.request().await;
        (client, node)
    }

    /// Requests that came to this end, as the metrics have it.
    async fn ended(&self, code: &str) -> f64 {
        let page = self.gateway.admin("/metrics").await;
        let text = page.text();
        let lines = text.lines().filter(|line| {
            line.starts_with("twolane_requests_total{") && line.contains(&format!("\"{code}\""))
        });
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }
}

impl End {
    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            came: Vec::new(),
        }
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn post(&mut self, more: &str) {
        self.say(&format!(
            "POST /x HTTP/1.1\r\nHost: a\r\n{more}Content-Length: 2\r\n\r\n{{}}"
        ))
        .await;
    }

    async fn more(&mut self) -> bool {
        let read = within("more bytes", self.stream.read_buf(&mut self.came)).await;
        matches!(read, Ok(1..))
    }

    /// Everything to where this stands for the first time.
    async fn to(&mut self, mark: &str) -> String {
        loop {
            let at = self
                .came
                .windows(mark.len())
                .position(|it| it == mark.as_bytes());
            if let Some(at) = at {
                let rest = self.came.split_off(at + mark.len());
                let text = std::mem::replace(&mut self.came, rest);
                return String::from_utf8(text).unwrap();
            }
            let so_far = String::from_utf8_lossy(&self.came).into_owned();
            assert!(self.more().await, "it ends before {mark:?}: {so_far:?}");
        }
    }

    /// A request, on the node's end.
    async fn request(&mut self) -> String {
        let head = self.to("\r\n\r\n").await;
        assert_eq!(self.to("{}").await, "{}");
        head
    }

    /// The head of a stream, on its way to its client.
    async fn begin(&mut self, client: &mut Self) {
        self.say(HEAD).await;
        client.to("\r\n\r\n").await;
    }

    /// Everything to the end of the connection.
    async fn rest(mut self) -> String {
        while self.more().await {}
        String::from_utf8(self.came).unwrap()
    }

    /// An answer in chunks to its end: what is in them.
    async fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let line = self.to("\r\n").await;
            let size = line.trim_end().split(';').next().unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            while self.came.len() < size + 2 {
                assert!(self.more().await, "a chunk ends early");
            }
            let chunk: Vec<_> = self.came.drain(..size + 2).collect();
            assert!(chunk.ends_with(b"\r\n"));
            if size == 0 {
                return body;
            }
            body += std::str::from_utf8(&chunk[..size]).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_stream_is_cut_it_arrives_and_both_connections_serve_on() {
    let rig = Rig::new().await;
    let mut client = rig.client().await;
    client.post("").await;
    let mut node = rig.accept().await;
    let answer = format!("{HEAD}{EVENTS}{END}");
    for cut in 1..answer.len() {
        if cut > 1 {
            client.post("").await;
        }
        node.request().await;
        let (before, behind) = answer.split_at(cut);
        node.say(before).await;
        let head = if cut < HEAD.len() {
            String::new()
        } else {
            // It has come this far, so the rest comes by itself.
            client.to("\r\n\r\n").await
        };
        node.say(behind).await;
        let head = if head.is_empty() {
            client.to("\r\n\r\n").await
        } else {
            head
        };
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{cut}: {head}");
        assert_eq!(client.chunks().await, BODY, "cut at {cut}");
        client.post("").await;
        node.request().await;
        node.say(SHORT).await;
        client.to("\r\n\r\nok").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_arrives_in_whatever_letters_its_head_is_written() {
    let rig = Rig::new().await;
    let mut client = rig.client().await;
    client.post("").await;
    let mut node = rig.accept().await;
    for head in [
        HEAD.to_lowercase(),
        HEAD.to_uppercase(),
        HEAD.replace("chunked", "Chunked"),
    ] {
        node.request().await;
        node.say(&head.replace("http/", "HTTP/")).await;
        client.to("\r\n\r\n").await;
        node.say(EVENTS).await;
        node.say(END).await;
        assert_eq!(client.chunks().await, BODY, "{head}");
        client.post("").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_stream_ends_too() {
    let rig = Rig::new().await;
    let mut client = rig.client().await;
    client.post("").await;
    let mut node = rig.accept().await;
    for apart in [true, false] {
        node.request().await;
        if apart {
            node.begin(&mut client).await;
            node.say(END).await;
        } else {
            node.say(&format!("{HEAD}{END}")).await;
            client.to("\r\n\r\n").await;
        }
        assert_eq!(client.chunks().await, "");
        client.post("").await;
    }
    node.request().await;
    drop(client);
    // The same to one who is not kept.
    let (mut client, mut node) = rig.asked("Connection: close\r\n").await;
    node.say(&format!("{HEAD}{END}")).await;
    assert!(client.to("\r\n\r\n").await.contains("Connection: close"));
    assert_eq!(client.rest().await, END);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_kept_gets_the_whole_stream_too() {
    let rig = Rig::new().await;
    let (mut client, mut node) = rig.asked("Connection: close\r\n").await;
    node.begin(&mut client).await;
    node.say(EVENTS).await;
    node.say(END).await;
    assert_eq!(client.chunks().await, BODY);
    assert_eq!(client.rest().await, "");
    // For one of HTTP/1.0 the connection's end is the answer's.
    let mut client = rig.client().await;
    client
        .say("POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    node.request().await;
    node.begin(&mut client).await;
    node.say(EVENTS).await;
    node.say(END).await;
    assert_eq!(client.rest().await, BODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_ahead_is_served_after_the_stream() {
    let rig = Rig::new().await;
    let (mut client, mut node) = rig.asked("").await;
    node.begin(&mut client).await;
    client.post("X-Second: yes\r\n").await;
    node.say(EVENTS).await;
    client.to("data:").await;
    node.say(END).await;
    client.to(END).await;
    assert!(node.request().await.contains("X-Second: yes"));
    node.say(SHORT).await;
    client.to("\r\n\r\nok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_connection_is_used_again_only_if_nothing_speaks_against_it() {
    let rig = Rig::new().await;
    let mut client = rig.client().await;
    client.post("").await;
    for (head, end) in [
        (
            HEAD.replace("Content-Type", "Connection: close\r\nContent-Type"),
            END.to_owned(),
        ),
        (HEAD.to_owned(), format!("{END}HTTP/1.1 200 OK\r\n")),
    ] {
        let mut node = rig.accept().await;
        node.request().await;
        node.say(&head).await;
        let told = client.to("\r\n\r\n").await;
        assert!(!told.contains("close"), "that is the node's affair: {told}");
        node.say(EVENTS).await;
        node.say(&end).await;
        assert_eq!(client.chunks().await, BODY);
        client.post("").await;
        // Closed by us, and not before the end.
        assert_eq!(node.rest().await, "");
    }
    let mut node = rig.accept().await;
    node.request().await;
    node.say(SHORT).await;
    client.to("\r\n\r\nok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_be_read_on_ends_broken() {
    let rig = Rig::new().await;
    for (n, odd) in ["5\r\ndata:!!", "-1\r\n", "5\ndata:\r\n"]
        .iter()
        .enumerate()
    {
        let (mut client, mut node) = rig.asked("").await;
        node.begin(&mut client).await;
        node.say(EVENTS).await;
        client.to("data:").await;
        node.say(odd).await;
        assert!(!client.rest().await.contains(END), "{odd:?} is no end");
        assert_eq!(node.rest().await, "", "the node is not read any more");
        assert_eq!(rig.ended("broken").await, (n + 1) as f64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_an_end_or_a_stream_goes_as_it_came() {
    let rig = Rig::new().await;
    let (mut client, mut node) = rig.asked("").await;
    node.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        .await;
    node.say(END).await;
    node.say("HELLO").await;
    assert!(client.to("HELLO").await.ends_with("\r\n\r\n0\r\n\r\nHELLO"));
    // Before the request has come to its end.
    client
        .say("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        .await;
    node.to("{}").await;
    node.say("HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .await;
    assert!(client.to("\r\n\r\n").await.contains("401"));
    client.to(END).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_the_head_of_no_body_is_nobodys() {
    let rig = Rig::new().await;
    let mut client = rig.client().await;
    client
        .say("HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    let mut node = rig.accept().await;
    node.request().await;
    node.say(&format!("{HEAD}5\r\nhel")).await;
    client.to("\r\n\r\n").await;
    client.post("").await;
    let mut other = rig.accept().await;
    other.request().await;
    other.say(SHORT).await;
    assert!(client.to("\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
    assert_eq!(rig.ended("broken").await, 0.0);
    assert_eq!(node.rest().await, "");
}
