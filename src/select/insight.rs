//! What may the operator see of what a strategy has found out?

/// The state of a strategy, for metrics. Empty for strategies that find nothing out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Insight {
    /// How many times slower short requests are beside a long one than elsewhere, once measured.
    pub lanes_ratio: Option<f64>,
    /// Long requests are kept off one node.
    pub lanes_apart: bool,
    /// All requests of a node hinder each other alike: their plugins do not matter.
    pub plugins_alike: bool,
    /// How much what is known of others counted in the latest choice: from 0 to 1.
    pub damping: Option<f64>,
}
