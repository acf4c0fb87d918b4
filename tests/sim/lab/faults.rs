//! What goes wrong?

/// How a node that is dead behaves towards those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Nothing answers: the gateway's patience with a connection (1 s) runs out.
    BlackHole,
    /// The machine says at once that nobody listens.
    Refuses,
}

/// What goes wrong in a run; always with the first node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It dies at this share of the run and stays dead. What was on it is lost.
    Dies(Death, f64),
    /// From the first to the second share of the run it answers everything with a 500 after 5 ms.
    FailsFast(f64, f64),
}

/// What it takes to see that a connection is not answered, in seconds.
pub(crate) const CONNECT: f64 = 1.0;
/// For how long a request that was sent is waited for, in seconds.
pub(crate) const SILENCE: f64 = 660.0;
/// What a node that fails takes to say so, in seconds.
pub(crate) const FAST: f64 = 0.005;
/// Health checks: how often, in seconds, and how many must fail.
pub(crate) const CHECK: f64 = 2.0;
pub(crate) const FALL: u32 = 2;
