//! What happens when a task panics?

use std::panic::PanicHookInfo;

/// What Pingora says when a listener cannot be opened: in a task, so that the process would live
/// on without it.
const NO_LISTENER: &str = "Failed to build listeners";

/// Logs every panic in one line; ends the process when a listener died with it. A request that
/// panics costs that request only.
pub(super) fn install() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let what = info
            .payload()
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| info.payload().downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        log::error!("panic at={place} what={what}");
        if what.starts_with(NO_LISTENER) {
            log::error!("a listener died, and a gateway without it is none: exiting");
            std::process::exit(1);
        }
    }));
}
