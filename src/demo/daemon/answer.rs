//! What is sent back in one piece?
use super::envelope;
use super::script::Fail;
use bytes::Bytes;
use pingora::http::ResponseHeader;

const JSON: &str = "application/json; charset=utf-8";

/// A whole answer with `Content-Length`.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, JSON, body)
    }

    /// The answer to a call that shall fail before anything is executed.
    pub(super) fn unexecuted(fail: &Fail) -> Option<Self> {
        match fail {
            Fail::RuntimeVanished => Some(Self::json(
                500,
                envelope::internal("failed to get plugin runtime"),
            )),
            Fail::Status(status) => {
                let answer = Self::json(status.code, status.body.clone());
                let headers = status.headers.iter();
                Some(headers.fold(answer, |answer, (name, value)| {
                    answer.with(name, value.as_str())
                }))
            }
            _ => None,
        }
    }

    /// An answer without a `Content-Type`.
    pub(super) fn bare(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The head of this answer.
    ///
    /// # Errors
    /// A script or a request put something into a header that HTTP does not allow.
    pub(super) fn head(&self) -> pingora::Result<ResponseHeader> {
        let mut head = ResponseHeader::build(self.status, Some(self.headers.len() + 3))?;
        for (name, value) in &self.headers {
            head.append_header(name.clone(), value.as_str())?;
        }
        head.insert_header("Content-Length", self.body.len().to_string())?;
        Ok(head)
    }
}
