//! Which operations does the daemon have, and what are they usually like?

use crate::model::Class;

/// What is known of one operation under `/dispatch/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The path after `/dispatch/`.
    pub(super) op: &'static str,
    /// What it is before anything was measured.
    pub(super) prior: Class,
    /// Dify reads the first event and closes the connection: leaving early is success.
    pub(super) single: bool,
}

const fn streams(op: &'static str, prior: Class) -> Word {
    Word {
        op,
        prior,
        single: false,
    }
}

const fn single(op: &'static str, prior: Class) -> Word {
    Word {
        op,
        prior,
        single: true,
    }
}

use Class::{Long, Short};

/// Every operation of daemon 0.6: the 33 generated ones, `agent_strategy/invoke` and the two of
/// polling. Sorted, because [`find`] searches by halves. Priors go by what each usually does.
pub(super) const WORDS: [Word; 36] = [
    streams("agent_strategy/invoke", Long),
    streams("datasource/get_online_document_page_content", Long),
    streams("datasource/get_online_document_pages", Long),
    streams("datasource/get_website_crawl", Long),
    streams("datasource/online_drive_browse_files", Long),
    streams("datasource/online_drive_download_file", Long),
    single("datasource/validate_credentials", Short),
    single("dynamic_select/fetch_parameter_options", Short),
    streams("llm/invoke", Long),
    single("llm/num_tokens", Short),
    streams("model/polling/check", Short),
    streams("model/polling/start", Short),
    single("model/schema", Short),
    single("model/validate_model_credentials", Short),
    single("model/validate_provider_credentials", Short),
    single("moderation/invoke", Short),
    single("multimodal_embedding/invoke", Short),
    single("multimodal_rerank/invoke", Short),
    single("oauth/get_authorization_url", Short),
    single("oauth/get_credentials", Short),
    single("oauth/refresh_credentials", Short),
    single("rerank/invoke", Short),
    single("speech2text/invoke", Long),
    single("text_embedding/invoke", Short),
    single("text_embedding/num_tokens", Short),
    single("tool/get_runtime_parameters", Short),
    streams("tool/invoke", Long),
    single("tool/validate_credentials", Short),
    single("trigger/dispatch_event", Short),
    single("trigger/invoke_event", Short),
    single("trigger/refresh", Short),
    single("trigger/subscribe", Short),
    single("trigger/unsubscribe", Short),
    single("trigger/validate_credentials", Short),
    streams("tts/invoke", Long),
    single("tts/model/voices", Short),
];

/// The row of an operation, if the daemon has it.
pub(super) fn find(op: &str) -> Option<&'static Word> {
    let at = WORDS.binary_search_by(|word| word.op.cmp(op)).ok()?;
    Some(&WORDS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_stands_once() {
        assert!(WORDS.windows(2).all(|pair| pair[0].op < pair[1].op));
        for word in &WORDS {
            assert_eq!(find(word.op), Some(word));
        }
        assert_eq!(find("tool/invoke/"), None);
        assert_eq!(find(""), None);
    }
}
