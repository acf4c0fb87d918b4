//! What words does the daemon use? Its JSON bodies, byte for byte.
use serde_json::Value;

/// The answer to an unknown path or method.
pub(super) const NO_ROUTE: &str = r#"{"code":"not_found","message":"route not found"}"#;

/// The daemon's error line: an error document inside a JSON string inside its envelope.
pub(super) fn error(code: i32, error_type: &str, message: &str) -> String {
    let inner = format!(
        r#"{{"message":{},"error_type":{},"args":null}}"#,
        quoted(message),
        quoted(error_type)
    );
    format!(
        r#"{{"code":{code},"message":{},"data":null}}"#,
        quoted(&inner)
    )
}

/// The daemon's success line around `data`.
pub(super) fn success(data: &Value) -> String {
    format!(r#"{{"code":0,"message":"success","data":{data}}}"#)
}

pub(super) fn unauthorized() -> String {
    error(-401, "PluginDaemonUnauthorizedError", "unauthorized")
}

pub(super) fn bad_request(message: &str) -> String {
    error(-400, "PluginDaemonBadRequestError", message)
}

pub(super) fn internal(message: &str) -> String {
    error(-500, "PluginDaemonInternalServerError", message)
}

pub(super) fn not_installed() -> String {
    error(-404, "PluginNotFoundError", "plugin not found")
}

pub(super) fn not_running() -> String {
    internal("no available node, plugin runtime not found")
}

pub(super) fn plugin_error() -> String {
    let raised = r#"{"args":{},"error_type":"InvokeRateLimitError","message":"x"}"#;
    error(-500, "PluginInvokeError", raised)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_daemon_says_byte_for_byte() {
        assert_eq!(
            unauthorized(),
            r#"{"code":-401,"message":"{\"message\":\"unauthorized\",\"error_type\":\"PluginDaemonUnauthorizedError\",\"args\":null}","data":null}"#
        );
        assert_eq!(
            bad_request("plugin_id is required"),
            r#"{"code":-400,"message":"{\"message\":\"plugin_id is required\",\"error_type\":\"PluginDaemonBadRequestError\",\"args\":null}","data":null}"#
        );
        assert_eq!(
            plugin_error(),
            r#"{"code":-500,"message":"{\"message\":\"{\\\"args\\\":{},\\\"error_type\\\":\\\"InvokeRateLimitError\\\",\\\"message\\\":\\\"x\\\"}\",\"error_type\":\"PluginInvokeError\",\"args\":null}","data":null}"#
        );
    }
}
