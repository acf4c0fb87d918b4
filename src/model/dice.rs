//! Where does chance come from? From an argument, so that a seed repeats a run.

/// A small seedable generator; ties between equal nodes are broken with it.
pub type Dice = fastrand::Rng;
