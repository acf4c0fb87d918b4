//! Who asks? A user's id in a query, in cookies, and at the beginning of a body.
//!
//! Each function is given bytes and says what they hold; none of them fails. What is broken, empty,
//! or no text and no number, holds no id.

use cookie::Cookie;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A field of a query: the first that is not empty.
#[must_use]
pub fn in_query(query: &str, name: &str) -> Option<String> {
    field(query.as_bytes(), name)
}

/// A cookie, in the value of a `Cookie` header.
#[must_use]
pub fn in_cookies(header: &str, name: &str) -> Option<String> {
    let found = Cookie::split_parse(header)
        .flatten()
        .find(|cookie| cookie.name() == name && !cookie.value().is_empty())?;
    Some(found.value().to_owned())
}

fn field(form: &[u8], name: &str) -> Option<String> {
    let found = form_urlencoded::parse(form).find(|(key, value)| key == name && !value.is_empty());
    found.map(|(_, value)| value.into_owned())
}

/// A body in which there may be an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `application/json`, or another type that is JSON.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`, with its boundary.
    Parts(String),
}

impl Body {
    /// What a `Content-Type` announces; none when it is nothing of these.
    #[must_use]
    pub fn announced(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        let json = kind
            .get(kind.len().saturating_sub(5)..)
            .is_some_and(|end| end.eq_ignore_ascii_case("+json"));
        if is("application/json") || json {
            return Some(Self::Json);
        }
        if is("application/x-www-form-urlencoded") {
            return Some(Self::Form);
        }
        multer::parse_boundary(content_type).ok().map(Self::Parts)
    }

    /// The id under a name. `whole`: there is no more of the body than this; otherwise what stands
    /// at the very end may be cut, and is not believed.
    #[must_use]
    pub fn id(&self, bytes: &[u8], name: &str, whole: bool) -> Option<String> {
        match self {
            Self::Json => in_json(bytes, name),
            Self::Form => {
                let end = if whole {
                    bytes.len()
                } else {
                    bytes.iter().rposition(|&byte| byte == b'&').unwrap_or(0)
                };
                field(&bytes[..end], name)
            }
            Self::Parts(boundary) => in_parts(bytes, boundary, name),
        }
    }
}

/// A part of that name which is no file. What only looks like a part, inside of a file, is none.
fn in_parts(bytes: &[u8], boundary: &str, name: &str) -> Option<String> {
    let search = async {
        let mut parts = multer::Multipart::with_reader(bytes, boundary);
        // A cut body ends with an error, behind the parts that are complete.
        while let Ok(Some(part)) = parts.next_field().await {
            if part.name() != Some(name) || part.file_name().is_some() {
                continue;
            }
            let text = part.text().await.ok()?;
            let text = text.trim();
            if !text.is_empty() {
                return Some(text.to_owned());
            }
        }
        None
    };
    // Bytes in memory are always ready: there is nothing to wait for.
    let mut context = Context::from_waker(Waker::noop());
    match pin!(search).poll(&mut context) {
        Poll::Ready(found) => found,
        Poll::Pending => None,
    }
}

/// A text or a number at the top of an object. The rest is passed over without being kept, and a
/// body that is cut behind the id is as good as a whole one.
fn in_json(bytes: &[u8], name: &str) -> Option<String> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    // That it ends early is no news.
    let _ = reader.deserialize_map(Top {
        name,
        found: &mut found,
    });
    found
}

struct Top<'f> {
    name: &'f str,
    found: &'f mut Option<String>,
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut id = None;
        while let Some(ours) = map.next_key_seed(Key(self.name))? {
            // Of a number there might be more, until something follows it.
            if id.is_some() {
                break;
            }
            if ours {
                match map.next_value_seed(Id)? {
                    Some(Value::Text(text)) => {
                        id = Some(text);
                        break;
                    }
                    Some(Value::Number(number)) => id = Some(number),
                    None => {}
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        *self.found = id;
        Err(A::Error::custom("enough was read"))
    }
}

/// Is it the key?
struct Key<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// An id, or a value of another kind.
struct Id;

enum Value {
    Text(String),
    Number(String),
}

impl<'de> DeserializeSeed<'de> for Id {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<Value>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Id {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Value>, E> {
        let text = Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(text.map(Value::Text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Number(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Number(number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Number(number.to_string())))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Value>, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Option<Value>, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

    fn json(text: &str) -> Option<String> {
        Body::Json.id(text.as_bytes(), "user", true)
    }

    fn parts(text: &str) -> Option<String> {
        let body = Body::announced("Multipart/Form-Data; boundary=\"XX\"").expect("a boundary");
        body.id(text.replace('\n', "\r\n").as_bytes(), "user", true)
    }

    #[test]
    fn f165_of_a_query_the_first_value_that_is_one_counts() {
        for (query, id) in [
            ("user_id", None),
            ("user_id=", None),
            ("user_id&user_id=&user_id=a&user_id=b", Some("a")),
            ("x=1&user_id=a%20b%2Fc", Some("a b/c")),
            ("user_id=%ff%fe", Some("\u{fffd}\u{fffd}")),
            ("user_id[]=a", None),
            ("&&=&%", None),
        ] {
            assert_eq!(in_query(query, "user_id").as_deref(), id, "{query}");
        }
    }

    #[test]
    fn f166_a_cookie_is_found_among_others() {
        for (header, id) in [
            ("user_id=u1", Some("u1")),
            ("a=b; user_id=u2; c", Some("u2")),
            ("user_id=; user_id=u3", Some("u3")),
            ("xuser_id=u4", None),
            (";;=;", None),
        ] {
            assert_eq!(in_cookies(header, "user_id").as_deref(), id, "{header}");
        }
    }

    #[test]
    fn f167_of_json_a_text_or_a_number_at_the_top_counts() {
        for (text, id) in [
            (r#"{"user":"u1"}"#, Some("u1")),
            (
                r#"{"inputs":{"user":"no"},"user":"u2","x":[1,{"y":null}]}"#,
                Some("u2"),
            ),
            (r#"{"user":42}"#, Some("42")),
            (r#"{"user":-7 , "a":1}"#, Some("-7")),
            (r#"{"user":"a\u00e9\n"}"#, Some("aé\n")),
            (r#"{"user":"cut here","query":"and so o"#, Some("cut here")),
            (r#"{"user":"u3""#, Some("u3")),
            (r#"{"user":42"#, None),
            (r#"{"user":"#, None),
            (r#"{"user":""}"#, None),
            (r#"{"user":null}"#, None),
            (r#"{"user":true}"#, None),
            (r#"{"user":{"id":"x"}}"#, None),
            (r#"{"user":["x"]}"#, None),
            (r#"["user","x"]"#, None),
            ("", None),
            ("\u{0}{}", None),
            ("{\"user\"", None),
        ] {
            assert_eq!(json(text).as_deref(), id, "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
        assert_eq!(json(&deep), None, "nor does depth cost the stack");
    }

    #[test]
    fn f168_of_a_form_with_parts_only_a_part_counts() {
        let fake = "--XX\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\n\n\
                    x\nContent-Disposition: form-data; name=\"user\"\n\nVICTIM\n";
        for (text, id) in [
            (
                "--XX\nContent-Disposition: form-data; name=\"user\"\n\nu1\n--XX--\n",
                Some("u1"),
            ),
            (
                "--XX\ncontent-disposition: form-data; name=\"user\"\n\n u2 \n--XX--\n",
                Some("u2"),
            ),
            (
                "--XX\nContent-Disposition: form-data; name=user\n\nu3\n--XX--\n",
                Some("u3"),
            ),
            (&format!("{fake}--XX--\n"), None),
            (
                &format!(
                    "{fake}--XX\nContent-Disposition: form-data; name=\"user\"\n\nu4\n--XX--\n"
                ),
                Some("u4"),
            ),
            (
                "--XX\nContent-Disposition: form-data; name=\"user\"; filename=\"u\"\n\nno\n--XX--\n",
                None,
            ),
            (
                "--XX\nContent-Disposition: form-data; name=\"user\"\n\ncut",
                None,
            ),
            (
                "--XX\nContent-Disposition: form-data; name=\"user\"\n\n\n--XX--\n",
                None,
            ),
            ("no parts at all", None),
        ] {
            assert_eq!(parts(text).as_deref(), id, "{text}");
        }
        let form = Body::announced("application/x-www-form-urlencoded; charset=utf-8");
        let form = form.expect("a form");
        assert_eq!(
            form.id(b"a=1&user=u%205", "user", true).as_deref(),
            Some("u 5")
        );
        assert_eq!(
            form.id(b"user=u5&a=1", "user", false).as_deref(),
            Some("u5")
        );
        assert_eq!(
            form.id(b"a=1&user=u", "user", false),
            None,
            "there may be more of it"
        );
    }

    #[test]
    fn f167_the_type_is_read_whatever_its_letters() {
        for (text, kind) in [
            ("Application/JSON; charset=utf-8", Some(Body::Json)),
            ("application/problem+JSON", Some(Body::Json)),
            (
                "multipart/form-data; boundary=x",
                Some(Body::Parts("x".to_owned())),
            ),
            ("multipart/form-data", None),
            ("text/plain", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(Body::announced(text), kind, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever comes, nothing fails; and a cut body names nobody else than the whole one.
        #[test]
        fn bytes_of_any_kind_are_read_without_a_failure(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            id in "[a-z0-9]{1,20}",
            cut in 0usize..200,
        ) {
            let mixed = [br#"{"a":[1,"#.as_slice(), &bytes].concat();
            for body in [Body::Json, Body::Form, Body::Parts("XX".to_owned())] {
                let _ = body.id(&bytes, "user", true);
                let _ = body.id(&mixed, "user", false);
            }
            let wholes = [
                (Body::Json, format!(r#"{{"query":"hello","user":"{id}","x":[1,2,3]}}"#)),
                (Body::Form, format!("query=hello&user={id}&x=1")),
                (Body::Parts("XX".to_owned()), format!(
                    "--XX\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n{id}\r\n--XX--\r\n"
                )),
            ];
            for (body, whole) in wholes {
                let cut = &whole.as_bytes()[..cut.min(whole.len())];
                if let Some(found) = body.id(cut, "user", false) {
                    prop_assert_eq!(&found, &id);
                }
                prop_assert_eq!(body.id(whole.as_bytes(), "user", true), Some(id.clone()));
            }
        }
    }
}
