//! How is a flood of HTTP/2 frames that bring nothing ended?
//!
//! Where Pingora's hooks see requests, h2 has long answered each of them. So they are counted before
//! it, and one too many is followed by a frame that h2 must take for an error: it says so to the
//! client (GOAWAY) and closes.

use super::passed::passes_on;
use crate::admit::wire::Frames;
use crate::model::clock;
use async_trait::async_trait;
use pingora::protocols::{Shutdown, Stream};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Data of no stream: an error of the connection (RFC 9113, section 6.1).
const LAST: [u8; 9] = [0; 9];

/// A client's connection that speaks HTTP/2.
#[derive(Debug)]
pub(super) struct Counted {
    inner: Stream,
    frames: Frames,
    /// What is read in place of the client's bytes, once there were too many.
    last: Option<&'static [u8]>,
}

impl Counted {
    pub(super) fn new(inner: Stream) -> Self {
        Self {
            inner,
            frames: Frames::default(),
            last: None,
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(last) = this.last {
            let (now, later) = last.split_at(last.len().min(buf.remaining()));
            buf.put_slice(now);
            this.last = Some(later);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if let Some(end) = this.frames.feed(&buf.filled()[before..], clock::now()) {
            log::debug!("turned away reason=too many frames that bring nothing");
            buf.set_filled(before + end);
            this.last = Some(&LAST);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Counted {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

passes_on!(Counted);
