//! What do the benches share that start whole proxies?
//!
//! | file | question |
//! |---|---|
//! | `process` | How is a part started, watched and ended? |
//! | `lanes` | Who is compared, and how is each set? |
//! | `bare` | What is the least that Pingora can be? |
//! | `daemon`, `event` | What do the stand-in plugin daemons answer? |
//! | `caller` | Who asks, again and again? |
//! | `streams` | Who holds many streams open? |
//! | `wire` | Where does a message end? |
//! | `figures` | What goes in, what comes out? |
//! | `owed` | What is promised, and was it kept? |
#![allow(
    dead_code,
    reason = "every bench is a crate of its own and uses its part"
)]

/// That of `src/main.rs`, in every part, so that both proxies have it or neither.
#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub(crate) mod bare;
pub(crate) mod caller;
pub(crate) mod daemon;
pub(crate) mod event;
pub(crate) mod figures;
pub(crate) mod lanes;
pub(crate) mod owed;
pub(crate) mod process;
pub(crate) mod streams;
pub(crate) mod wire;
