//! How does a line of the event log look?

/// The form of the event log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventFormat {
    /// Text on a terminal, JSON anywhere else, unless the environment says otherwise.
    #[default]
    Auto,
    /// A line for people.
    Text,
    /// One JSON object.
    Json,
}

impl EventFormat {
    /// Every one, by its word in the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("auto", Self::Auto),
        ("text", Self::Text),
        ("json", Self::Json),
    ];
}
