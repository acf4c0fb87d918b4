//! A request that is over, as an access log has many.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};
use twolane::model::{Basis, Class, RequestId, Verdict};
use twolane::observe::Ending;
use twolane::observe::access::{Facts, Record, Texts};

/// A tool's call that went well.
pub(crate) fn record() -> Record<'static> {
    Record {
        facts: Facts {
            ended: SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
            id: Some(RequestId::Own {
                gateway: 0x0123_4567,
                number: 89_012,
            }),
            client: Some((Ipv4Addr::new(10, 0, 0, 7).into(), Some(43_210))),
            protocol: "HTTP/1.1",
            ending: Ending::Answered(200),
            status: Some(200),
            node_status: Some(200),
            bytes_in: 2048,
            bytes_out: 4096,
            took: Duration::from_micros(123_456),
            waited: Duration::ZERO,
            first_byte: Some(Duration::from_micros(45_678)),
            attempts: 1,
            verdict: Some(Verdict {
                class: Class::Short,
                basis: Basis::Prior,
            }),
            why: Some("least_loaded"),
            rejection: None,
        },
        texts: Texts {
            forwarded_for: None,
            method: "POST",
            path: "/plugin/8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/dispatch/tool/invoke",
            tls: None,
            user_agent: Some(b"python-httpx/0.28.1"),
            trace: None,
            node: Some("daemon-2"),
            pool: Some("main"),
            operation: Some("tool/invoke|langgenius/comfyui|comfyui|txt2img"),
            plugin: Some("langgenius/comfyui"),
        },
    }
}
