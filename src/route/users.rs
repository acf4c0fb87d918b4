//! In which of several places is a user's id looked for?

use crate::config::{self, UserSource};
use crate::dify::user::{self, Body};

/// The places, in their order.
#[derive(Clone, Debug)]
pub struct Users {
    sources: Vec<UserSource>,
    /// A body up to so many bytes is looked through.
    pub look: u64,
}

/// What is known of a request before its body was read.
pub struct Head<'h, 'r> {
    /// A header's values that are text, by its name in small letters.
    pub header: &'h dyn Fn(&str) -> Vec<&'r str>,
    /// The query.
    pub query: Option<&'r str>,
    /// Whether there is a body that may be looked into.
    pub body: bool,
}

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The id, or that there is none.
    Settled(Option<String>),
    /// The body says more.
    InBody(Quest),
}

/// What is looked for in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quest {
    body: Body,
    /// Names, in their order.
    names: Vec<String>,
    /// The id, when the body has none of them.
    otherwise: Option<String>,
}

impl std::fmt::Debug for Head<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").finish_non_exhaustive()
    }
}

impl Users {
    /// Compiles the configuration's `users`.
    #[must_use]
    pub fn new(settings: &config::Users) -> Self {
        Self {
            sources: settings.sources.clone(),
            look: settings.look,
        }
    }

    /// Looks into everything but the body.
    #[must_use]
    pub fn find(&self, head: &Head<'_, '_>) -> Found {
        let kind = if head.body {
            let values = (head.header)("content-type");
            values.first().and_then(|value| Body::announced(value))
        } else {
            None
        };
        let mut names = Vec::new();
        let mut otherwise = None;
        for source in &self.sources {
            match (source, &kind) {
                (UserSource::Json(name), Some(Body::Json))
                | (UserSource::Form(name), Some(Body::Form | Body::Parts(_))) => {
                    names.push(name.clone());
                }
                _ => otherwise = in_head(source, head),
            }
            if otherwise.is_some() {
                break;
            }
        }
        match kind {
            Some(body) if !names.is_empty() => Found::InBody(Quest {
                body,
                names,
                otherwise,
            }),
            _ => Found::Settled(otherwise),
        }
    }
}

fn in_head(source: &UserSource, head: &Head<'_, '_>) -> Option<String> {
    match source {
        UserSource::Header(name) => {
            let values = (head.header)(name).into_iter().map(str::trim);
            let mut values = values.filter(|value| !value.is_empty());
            values.next().map(str::to_owned)
        }
        UserSource::Query(name) => user::in_query(head.query?, name),
        UserSource::Cookie(name) => {
            let lines = (head.header)("cookie");
            lines
                .into_iter()
                .find_map(|line| user::in_cookies(line, name))
        }
        UserSource::Json(_) | UserSource::Form(_) => None,
    }
}

impl Quest {
    /// The id, as soon as no further byte can change it.
    #[must_use]
    pub fn early(&self, bytes: &[u8]) -> Option<String> {
        let first = self.names.first()?;
        self.body.id(bytes, first, false)
    }

    /// The id, when nothing more will be read. `whole`: the body ends here.
    #[must_use]
    pub fn last(self, bytes: &[u8], whole: bool) -> Option<String> {
        let mut names = self.names.iter();
        let found = names.find_map(|name| self.body.id(bytes, name, whole));
        found.or(self.otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header, query, cookie and body of a request, each with an id or without.
    fn found(with: [bool; 4], body: (&'static str, &str)) -> Option<String> {
        let [in_header, in_query, in_cookie, in_body] = with;
        let header = move |name: &str| match name {
            "x-user-id" if in_header => vec!["", "h"],
            "cookie" if in_cookie => vec!["a=b", "user_id=c"],
            "content-type" => vec![body.0],
            _ => Vec::new(),
        };
        let head = Head {
            header: &header,
            query: in_query.then_some("user_id=&user_id=q"),
            body: true,
        };
        let bytes = if in_body { body.1 } else { "" };
        match Users::new(&config::Users::default()).find(&head) {
            Found::Settled(id) => id,
            Found::InBody(quest) => quest.last(bytes.as_bytes(), true),
        }
    }

    #[test]
    fn f164_the_five_places_hold_in_the_order_of_seed_002() {
        let multipart =
            "--X\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nb\r\n--X--\r\n";
        for body in [
            ("application/json", r#"{"user":"b"}"#),
            ("application/x-www-form-urlencoded", "user=b"),
            ("multipart/form-data; boundary=X", multipart),
        ] {
            assert_eq!(found([true; 4], body).as_deref(), Some("h"));
            assert_eq!(found([false, true, true, true], body).as_deref(), Some("q"));
            assert_eq!(
                found([false, false, true, true], body).as_deref(),
                Some("c")
            );
            assert_eq!(
                found([false, false, false, true], body).as_deref(),
                Some("b")
            );
            assert_eq!(found([false; 4], body), None);
        }
        let daemon = ("application/json", r#"{"user_id":"d","data":{}}"#);
        assert_eq!(
            found([false, false, false, true], daemon).as_deref(),
            Some("d")
        );
    }

    #[test]
    fn an_order_of_ones_own_holds_and_a_body_may_come_first() {
        let users = Users {
            sources: vec![
                UserSource::Json("a".to_owned()),
                UserSource::Header("x-user-id".to_owned()),
                UserSource::Json("b".to_owned()),
            ],
            look: 1000,
        };
        let header = |name: &str| match name {
            "content-type" => vec!["application/json"],
            "x-user-id" => vec!["h"],
            _ => Vec::new(),
        };
        let head = Head {
            header: &header,
            query: None,
            body: true,
        };
        let Found::InBody(quest) = users.find(&head) else {
            panic!("the body comes first");
        };
        assert_eq!(quest.early(br#"{"b":"2","#), None, "an `a` may come yet");
        assert_eq!(quest.early(br#"{"b":"2","a":"1","#).as_deref(), Some("1"));
        assert_eq!(
            quest.clone().last(br#"{"b":"2"}"#, true).as_deref(),
            Some("h")
        );
        let no_body = Head {
            body: false,
            ..head
        };
        assert_eq!(users.find(&no_body), Found::Settled(Some("h".to_owned())));
    }
}
