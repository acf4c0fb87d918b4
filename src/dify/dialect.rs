//! In which words does the caller understand a no?

use super::envelope::envelope;
use crate::model::Rejection;
use serde::Serialize;

/// Who reads the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Dify, calling a plugin daemon: one line of the daemon's envelope.
    #[default]
    Daemon,
    /// A client of Dify's own API (`/v1/*`): `code`, `message`, `status`, as Dify's
    /// `libs/external_api.py` writes errors.
    Api,
}

#[derive(Serialize)]
struct ApiError<'a> {
    code: &'a str,
    message: &'a str,
    status: u16,
}

impl Dialect {
    /// That of whoever asks for such a path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with("/v1/") {
            Self::Api
        } else {
            Self::Daemon
        }
    }

    /// The body that answers a rejected request.
    #[must_use]
    pub fn write(self, rejection: &Rejection) -> String {
        let row = rejection.reason.row();
        match self {
            Self::Daemon => envelope(rejection),
            Self::Api => serde_json::to_string(&ApiError {
                code: row.word,
                message: &rejection.public,
                status: row.status,
            })
            .expect("text and numbers always become JSON"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rejection::Reason;

    #[test]
    fn f159_each_caller_is_told_in_its_own_words() {
        let no = Rejection::new(Reason::Unauthorized, "no \"key\"");
        assert_eq!(
            Dialect::of("/v1/chat-messages").write(&no),
            r#"{"code":"unauthorized","message":"no \"key\"","status":401}"#
        );
        assert_eq!(
            Dialect::of("/plugin/t/dispatch/llm/invoke").write(&no),
            r#"{"code":-401,"message":"{\"message\":\"no \\\"key\\\"\",\"error_type\":\"PluginDaemonUnauthorizedError\",\"args\":null}","data":null}"#
        );
        for daemon in ["/v2/invoke/dispatch/x", "/e/hook/v1/", "/v1", "/V1/x"] {
            assert_eq!(Dialect::of(daemon), Dialect::Daemon, "{daemon}");
        }
    }
}
