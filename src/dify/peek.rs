//! Which tool or model is it, in the head of the body?
//!
//! Dify writes the names first: `{"user_id": ..., "data": {"provider": "google", "tool":
//! "google_search", "credentials": {...}`. The scanner reads a body as it comes, chunk by chunk,
//! remembers the two names and nothing else: credentials stand in the same object.

use super::literal::{Literal, Step};

/// Reads the head of a JSON body for the names of provider and tool, model, strategy...
///
/// Chunking does not matter: the same bytes give the same answer. It checks no more of the JSON
/// than it must to find its way; nested values are skipped by counting brackets.
#[derive(Clone, Debug)]
pub struct Peek {
    place: Place,
    /// 1 in the outer object, 2 in `data`.
    depth: u8,
    member: Member,
    literal: Literal,
    seen: usize,
    provider: Option<Box<str>>,
    name: Option<Box<str>>,
    /// The name to fall back on.
    strategy_provider: Option<Box<str>>,
}

/// Where in the JSON the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the outer brace.
    Root,
    /// After an opening brace: a key, or nothing.
    First,
    /// After a comma: a key.
    Key,
    /// In a key.
    KeyText,
    /// After a key.
    Colon,
    /// Before a value.
    Value,
    /// In a value worth keeping.
    ValueText,
    /// In a value to skip: so many brackets are open.
    Skip { open: u16, text: Skipped },
    /// In a number or a word.
    Word,
    /// After a value: a comma or the closing brace.
    Next,
    /// Nothing more to learn here.
    End,
}

/// Skipping, are we in a string?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipped {
    No,
    Text,
    Escape,
}

/// The member whose value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Data,
    Provider,
    Name,
    Strategy,
    StrategyProvider,
    Credentials,
    Other,
}

impl Default for Peek {
    fn default() -> Self {
        Self::new()
    }
}

impl Peek {
    /// So many bytes of a body are looked at, at most.
    pub const LIMIT: usize = 4096;

    /// Before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            place: Place::Root,
            depth: 1,
            member: Member::Other,
            literal: Literal::new(),
            seen: 0,
            provider: None,
            name: None,
            strategy_provider: None,
        }
    }

    /// Reads the next piece of the body. True: show me more; false: what can be found is found.
    pub fn feed(&mut self, chunk: &[u8]) -> bool {
        let room = Self::LIMIT - self.seen;
        let read = &chunk[..chunk.len().min(room)];
        self.seen += read.len();
        let mut rest = read;
        while self.place != Place::End {
            // Texts are most of a body, and their inside is of one kind.
            let run = self.run(rest);
            rest = &rest[run..];
            if run == 0 {
                let Some((&byte, behind)) = rest.split_first() else {
                    break;
                };
                self.step(byte);
                rest = behind;
            }
        }
        !self.done()
    }

    /// Takes what need not be taken byte by byte; how many bytes that is.
    fn run(&mut self, bytes: &[u8]) -> usize {
        match self.place {
            Place::KeyText | Place::ValueText => match self.literal.whole(bytes) {
                Some(text) => self.whole(text, &bytes[text.len() + 1..]),
                None => self.literal.take_plain(bytes),
            },
            Place::Skip {
                open,
                text: Skipped::Text,
            } => {
                let Some(at) = memchr::memchr2(b'"', b'\\', bytes) else {
                    return bytes.len();
                };
                self.place = skip(open, Skipped::Text, bytes[at]);
                at + 1
            }
            _ => 0,
        }
    }

    /// Takes a text that came whole, its closing quote, and the signs that usually follow.
    fn whole(&mut self, text: &[u8], behind: &[u8]) -> usize {
        if self.place == Place::KeyText {
            self.end_key(Member::of(self.depth, text));
        } else {
            self.end_value(name(std::str::from_utf8(text).ok()));
        }
        let signs = match (self.place, behind) {
            (Place::Colon, [b':', ..]) => {
                self.place = Place::Value;
                1
            }
            (Place::Next, [b',', b'"', ..]) => {
                self.literal.clear();
                self.place = Place::KeyText;
                2
            }
            _ => 0,
        };
        text.len() + 1 + signs
    }

    /// Is there nothing more to learn from further bytes?
    #[must_use]
    pub fn done(&self) -> bool {
        self.place == Place::End || self.seen == Self::LIMIT
    }

    /// What was found so far: `google|google_search`, `openai|gpt-4o`, `function_calling`.
    #[must_use]
    pub fn item(&self) -> Option<String> {
        let name = self.name.as_deref().or(self.strategy_provider.as_deref());
        match (self.provider.as_deref(), name) {
            (Some(provider), Some(name)) => {
                let mut item = String::with_capacity(provider.len() + 1 + name.len());
                item.push_str(provider);
                item.push('|');
                item.push_str(name);
                Some(item)
            }
            (found, None) | (None, found) => found.map(str::to_owned),
        }
    }

    fn step(&mut self, byte: u8) {
        match self.place {
            Place::KeyText => self.key_text(byte),
            Place::ValueText => self.value_text(byte),
            Place::Skip { open, text } => self.place = skip(open, text, byte),
            Place::Word => self.word(byte),
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
            place => self.place = self.between(place, byte),
        }
    }

    /// Takes a byte that is no space and stands between keys and values.
    fn between(&mut self, place: Place, byte: u8) -> Place {
        match (place, byte) {
            (Place::Root, b'{') => Place::First,
            (Place::First | Place::Key, b'"') => {
                self.literal.clear();
                Place::KeyText
            }
            (Place::Colon, b':') => Place::Value,
            (Place::Value, _) => self.value(byte),
            (Place::Next, b',') => Place::Key,
            // A closing brace ends `data` or the body; anything else is no JSON.
            _ => Place::End,
        }
    }

    fn value(&mut self, first: u8) -> Place {
        let open = |text| Place::Skip {
            open: u16::from(text == Skipped::No),
            text,
        };
        match first {
            b'"' if self.member.is_kept() => {
                self.literal.clear();
                Place::ValueText
            }
            b'"' => open(Skipped::Text),
            b'{' if self.member == Member::Data => {
                self.depth = 2;
                Place::First
            }
            b'{' | b'[' => open(Skipped::No),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Place::Word,
            _ => Place::End,
        }
    }

    fn word(&mut self, byte: u8) {
        self.place = match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'E' | b'.' | b'+' | b'-' => Place::Word,
            b' ' | b'\t' | b'\n' | b'\r' => Place::Next,
            _ => self.between(Place::Next, byte),
        };
    }

    fn key_text(&mut self, byte: u8) {
        match self.literal.take(byte) {
            Step::More => {}
            Step::Bad => self.place = Place::End,
            Step::End => self.end_key(Member::of(self.depth, self.literal.bytes())),
        }
    }

    fn end_key(&mut self, member: Member) {
        self.member = member;
        let known = member == Member::Credentials && self.name.is_some();
        self.place = if known { Place::End } else { Place::Colon };
    }

    fn value_text(&mut self, byte: u8) {
        match self.literal.take(byte) {
            Step::More => {}
            Step::Bad => self.place = Place::End,
            Step::End => self.end_value(name(self.literal.text())),
        }
    }

    /// Keeps a name, unless an earlier one has its place.
    fn end_value(&mut self, name: Option<Box<str>>) {
        let slot = match self.member {
            Member::Provider => &mut self.provider,
            Member::Name | Member::Strategy => &mut self.name,
            _ => &mut self.strategy_provider,
        };
        if slot.is_none() {
            *slot = name;
        }
        // An agent has no provider beside its strategy.
        let all =
            self.name.is_some() && (self.provider.is_some() || self.member == Member::Strategy);
        self.place = if all { Place::End } else { Place::Next };
    }
}

/// The text as a name. One with control characters is none: it would break log lines.
fn name(text: Option<&str>) -> Option<Box<str>> {
    let text = text.filter(|text| !text.is_empty())?;
    (!text.contains(char::is_control)).then(|| text.into())
}

impl Member {
    fn of(depth: u8, key: &[u8]) -> Self {
        match (depth, key) {
            (1, b"data") => Self::Data,
            (2, b"provider") => Self::Provider,
            (2, b"tool" | b"model" | b"datasource" | b"event") => Self::Name,
            (2, b"agent_strategy") => Self::Strategy,
            (2, b"agent_strategy_provider") => Self::StrategyProvider,
            (2, b"credentials") => Self::Credentials,
            _ => Self::Other,
        }
    }

    const fn is_kept(self) -> bool {
        matches!(
            self,
            Self::Provider | Self::Name | Self::Strategy | Self::StrategyProvider
        )
    }
}

/// One byte of a value that is not kept.
fn skip(open: u16, text: Skipped, byte: u8) -> Place {
    let (open, text) = match (text, byte) {
        (Skipped::Escape, _) => (open, Skipped::Text),
        (Skipped::Text, b'\\') => (open, Skipped::Escape),
        (Skipped::Text, b'"') => (open, Skipped::No),
        (Skipped::No, b'"') => (open, Skipped::Text),
        (Skipped::No, b'{' | b'[') => (open + 1, text),
        (Skipped::No, b'}' | b']') => (open - 1, text),
        (Skipped::Text | Skipped::No, _) => (open, text),
    };
    if open == 0 && text == Skipped::No {
        Place::Next
    } else {
        Place::Skip { open, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn peek(body: &[u8]) -> Option<String> {
        let mut peek = Peek::new();
        peek.feed(body);
        peek.item()
    }

    #[test]
    fn difys_own_bodies() {
        for (body, item) in [
            (
                r#"{"data": {"provider": "openai", "model_type": "llm", "model": "gpt-4o", "credentials": {"key": "s"}}, "user_id": "u"}"#,
                Some("openai|gpt-4o"),
            ),
            (
                r#"{"user_id": "u", "conversation_id": null, "app_id": "a", "message_id": null, "data": {"provider": "google", "tool": "google_search", "credentials": {}}}"#,
                Some("google|google_search"),
            ),
            (
                r#"{"user_id":"u","data":{"agent_strategy_provider":"agent","agent_strategy":"function_calling","agent_strategy_params":{"model":{"provider":"openai","model":"gpt-4o"}}}}"#,
                Some("function_calling"),
            ),
            (
                r#"{"data":{"agent_strategy_provider":"agent","agent_strategy_params":{"tool":"x"}}}"#,
                Some("agent"),
            ),
            (
                r#"{"data":{"provider":"google","redirect_uri":"http://x","system_credentials":{}}}"#,
                Some("google"),
            ),
            (
                r#"{"data":{"credentials":{"tool":"t"},"provider":"p","provider_action":"a","parameter":"q"}}"#,
                Some("p"),
            ),
            (
                r#"{"data":{"provider":"p","event":"e","raw_http_request":"00"}}"#,
                Some("p|e"),
            ),
            (
                r#"{"data":{"provider":"p","datasource":"d","credentials":null}}"#,
                Some("p|d"),
            ),
            (
                r#"{"tool":"x","provider":"y","data":[1,{"tool":"z"}],"tenant_id":"t"}"#,
                None,
            ),
            (
                r#"{"data":{"tool":null,"provider":7,"event":true,"model":{"a":[]}}}"#,
                None,
            ),
            (r#"{}"#, None),
            (r#"[{"data":{"tool":"x"}}]"#, None),
            ("", None),
        ] {
            assert_eq!(peek(body.as_bytes()).as_deref(), item, "{body}");
        }
    }

    #[test]
    fn it_stops_as_soon_as_it_knows() {
        let mut peek = Peek::new();
        assert!(peek.feed(br#"{"data":{"provider":"p","mo"#));
        assert!(peek.feed(br#"del":"m"#), "the name may go on");
        assert!(!peek.feed(br#"","credentials":{"#));
        assert_eq!(peek.item().as_deref(), Some("p|m"));
        let mut peek = Peek::new();
        assert!(
            !peek.feed(br#"{"data":{"tool":"t","credentials""#),
            "a name and then secrets"
        );
        assert_eq!(peek.item().as_deref(), Some("t"));
    }

    #[test]
    fn it_reads_no_further_than_the_limit() {
        let body = |padding: usize| {
            format!(
                r#"{{"pad":"{}","data":{{"tool":"t"}}}}"#,
                "x".repeat(padding)
            )
        };
        assert_eq!(peek(body(4000).as_bytes()).as_deref(), Some("t"));
        let mut far = Peek::new();
        assert!(!far.feed(body(5000).as_bytes()));
        assert_eq!(far.item(), None);
        assert!(
            !far.feed(&[b'x'; 9000]),
            "bytes after the limit change nothing"
        );
    }

    #[test]
    fn a_text_that_comes_whole_is_read_as_byte_by_byte() {
        for length in 118..134 {
            for end in [
                "",
                "x",
                "\u{e9}",
                "\u{20ac}",
                "\u{1f600}",
                "\\n",
                "\\u00e9",
                "\u{7f}",
            ] {
                let name = "n".repeat(length) + end;
                let valid =
                    format!(r#"{{"{name}":"{name}","data":{{"provider":"p","tool":"{name}"}}}}"#);
                let broken = [&valid.as_bytes()[..valid.len() - 4], b"\xe2\x82\"}}"].concat();
                for body in [valid.as_bytes(), &broken] {
                    let mut bytewise = Peek::new();
                    for byte in body {
                        bytewise.feed(&[*byte]);
                    }
                    assert_eq!(peek(body), bytewise.item(), "{length} {end:?}");
                }
            }
        }
    }

    #[test]
    fn odd_names_are_no_names() {
        assert_eq!(
            peek(br#"{"data":{"provider":"","tool":"a\nb","model":"m"}}"#).as_deref(),
            Some("m")
        );
        assert_eq!(peek(b"{\"data\":{\"tool\":\"\xff\xfe\"}}"), None);
        assert_eq!(
            peek(br#"{"d\u0061ta":{"to\u006fl":"\u00fc\ud83d\ude00"}}"#).as_deref(),
            Some("ü😀")
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|it| json!(it)),
            // Longer than what a processor looks at in one go.
            ".{0,80}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("data|tool|provider|.{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Members in any order, as text: `serde_json`'s maps would sort them.
    fn object(members: &[(String, Value)], spaced: bool) -> String {
        let (comma, colon) = if spaced { (" ,\n ", " : ") } else { (",", ":") };
        let inner: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{}{colon}{value}", json!(key)))
            .collect();
        format!("{{{}}}", inner.join(comma))
    }

    /// A body as Dify might send it, and what a whole parser reads from it.
    fn body() -> impl Strategy<Value = String> {
        let name = "tool|model|datasource|event";
        let text = "[a-z0-9_.\"\\\\/ü😀]{1,20}";
        let noise = prop::collection::vec(("[A-Z]{1,6}|user_id|tenant_id", any_json()), 0..4);
        let more = prop::collection::vec(("[A-Z]{1,6}", any_json()), 0..4);
        (
            noise,
            more,
            (name, text),
            text,
            any::<bool>(),
            any::<bool>(),
        )
            .prop_flat_map(
                |(noise, more, (name, called), provider, provided, spaced)| {
                    let mut data: Vec<(String, Value)> = more;
                    data.push((name, called.into()));
                    if provided {
                        data.push(("provider".to_owned(), provider.into()));
                    }
                    (
                        Just(noise),
                        Just(data).prop_shuffle(),
                        Just(spaced),
                        any_json(),
                    )
                },
            )
            .prop_flat_map(|(noise, mut data, spaced, secret)| {
                data.push(("credentials".to_owned(), secret));
                let mut members = noise;
                let text = object(&data, spaced);
                members.push(("data".to_owned(), Value::Null));
                (Just(members).prop_shuffle(), Just(text), Just(spaced))
            })
            .prop_map(|(members, data, spaced)| {
                let outer = object(&members, spaced);
                let colon = if spaced { " : " } else { ":" };
                outer.replacen(
                    &format!("\"data\"{colon}null"),
                    &format!("\"data\"{colon}{data}"),
                    1,
                )
            })
    }

    fn whole(body: &str) -> Option<String> {
        let value: Map<String, Value> = serde_json::from_str(body).unwrap();
        let data = value.get("data")?.as_object()?;
        let get = |key: &str| data.get(key).and_then(Value::as_str);
        let name = ["tool", "model", "datasource", "event"]
            .into_iter()
            .find_map(get)?;
        Some(get("provider").map_or_else(|| name.to_owned(), |it| format!("{it}|{name}")))
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_whole_parser(body in body()) {
            prop_assume!(body.len() <= Peek::LIMIT);
            prop_assert_eq!(peek(body.as_bytes()), whole(&body));
        }

        #[test]
        fn chunks_do_not_matter(body in body(), cuts in prop::collection::vec(1usize..9, 1..50)) {
            let mut pieces = Peek::new();
            let mut rest = body.as_bytes();
            for cut in cuts.iter().cycle() {
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.feed(head);
                rest = tail;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(pieces.item(), peek(body.as_bytes()));
        }

        #[test]
        fn any_bytes_in_any_chunks(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]":,\u0d8 tn"#.to_vec())], 0..6000),
            cut in 1usize..700, prefix in prop::sample::select(vec!["", "{\"data\":{", "{\"data\":{\"tool\":\""]))
        {
            let mut body = prefix.as_bytes().to_vec();
            body.extend(bytes);
            let mut pieces = Peek::new();
            for piece in body.chunks(cut) { pieces.feed(piece); }
            prop_assert_eq!(pieces.item(), peek(&body));
        }
    }
}
