//! The stream of events tells what is new, and ends when its reader leaves.

use crate::rig::{Rig, ask};
use crate::support::client::Dify;
use crate::support::stream::Stream;
use crate::support::{eventually, within};
use serde_json::{Value, json};

/// One reader.
struct Reader {
    stream: Stream,
    text: String,
}

impl Reader {
    async fn open(rig: &Rig) -> Self {
        let admin = Dify::new(rig.gateway.embedded.admin(), None);
        let mut stream = admin
            .open_raw("GET", "/api/v1/events", &[], b"")
            .await
            .unwrap();
        let (status, headers) = within("the stream begins", stream.head()).await.unwrap();
        assert_eq!(status, 200);
        let kind = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        assert!(kind.unwrap().1.starts_with("text/event-stream"));
        let text = String::new();
        Self { stream, text }
    }

    /// The next event of this name that `fits`.
    async fn next(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        within(name, async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let (found, data) = event.split_once("\ndata: ").expect("an event has data");
                    let data: Value = serde_json::from_str(data).expect("data are JSON");
                    let found = found == format!("event: {name}") && fits(&data);
                    self.text = rest.to_owned();
                    if found {
                        return data;
                    }
                }
                let part = self.stream.part().await.unwrap();
                let part = part.expect("the stream goes on");
                self.text.push_str(&String::from_utf8(part).unwrap());
            }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f084_the_stream_tells_how_it_is_what_was_decided_and_what_changed() {
    let rig = Rig::new(2, "").await;
    let mut reader = Reader::open(&rig).await;
    let first = reader.next("overview", |_| true).await;
    assert_eq!(first["nodes"].as_array().unwrap().len(), 2);
    rig.call(json!({})).await;
    let told = reader.next("decisions", |_| true).await;
    assert_eq!(told["decisions"].as_array().unwrap().len(), 1);
    assert!(told["decisions"][0]["why"].is_string());
    rig.ask("PUT", "/api/v1/nodes/n2/state", &json!({"state": "drain"}))
        .await;
    let told = reader
        .next("notices", |told| told.to_string().contains("node_drains"))
        .await;
    assert_eq!(told["notices"][0]["about"], "n2");
    let now = reader
        .next("overview", |now| now["nodes"][1]["light"] == "drain")
        .await;
    let ended = |class: &str| now["now"][class]["ended"].as_u64().unwrap();
    assert_eq!(ended("short") + ended("long"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_frees_its_place_and_too_many_are_refused() {
    let rig = Rig::new(1, "").await;
    let mut readers = Vec::new();
    for _ in 0..32 {
        readers.push(Reader::open(&rig).await);
    }
    let refused = ask(&rig.gateway, "GET", "/api/v1/events", &[], &Value::Null).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    drop(readers.pop());
    eventually("the place is free again", async || {
        let admin = Dify::new(rig.gateway.embedded.admin(), None);
        let mut stream = admin
            .open_raw("GET", "/api/v1/events", &[], b"")
            .await
            .unwrap();
        stream.head().await.unwrap().0 == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_does_not_hold_up_the_end() {
    let rig = Rig::new(1, "").await;
    let mut reader = Reader::open(&rig).await;
    reader.next("overview", |_| true).await;
    within("the gateway stops", rig.gateway.embedded.stop()).await;
    let end = async { while let Ok(Some(_)) = reader.stream.part().await {} };
    within("the stream ends", end).await;
}
