//! How does a new program take over without a connection refused?
//!
//! As in nginx: a signal (QUIT) makes the running program start the one that stands at its own path
//! now. The new one reads the configuration, checks the nodes, and only then asks for the listeners
//! over a socket; both accept for five seconds (Pingora's time), then the old one drains. A new
//! program that does not come so far changes nothing: the old one serves on.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The flag of `run` with which a successor is started.
const FLAG: &str = "--upgrade";
/// A successor that has not asked for the listeners by then never will: its first round of checks
/// and a slow name have had their time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often we look whether it asks.
const LOOK: Duration = Duration::from_millis(50);

/// Where a successor comes from, and where it asks for the listeners.
#[derive(Debug)]
pub(super) struct Succession {
    /// Our own path, noted when we began: by now another program may stand there.
    program: io::Result<PathBuf>,
    /// The configuration, if it came from a file.
    file: Option<PathBuf>,
}

impl Succession {
    /// To be made at the start: later the system would tell the path of a file that is gone.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self {
            program: std::env::current_exe(),
            file,
        }
    }

    /// Starts the successor and waits until it asks for the listeners at `socket`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not ask; it is gone then.
    pub(super) async fn prepare(&self, socket: &Path) -> Result<(), String> {
        usable(socket)?;
        let program = self.program.as_ref().map_err(ToString::to_string)?;
        // One that stands there from an earlier attempt would be taken for the successor's.
        let _ = std::fs::remove_file(socket);
        let mut command = Command::new(program);
        command.args(self.arguments()).stdin(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        log::info!("successor started pid={}", child.id().unwrap_or_default());
        let asked = async {
            while !is_socket(socket) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let why = tokio::select! {
            () = asked => {
                reap(child);
                return Ok(());
            }
            ended = child.wait() => format!("it ended: {}", told(ended)),
            () = tokio::time::sleep(PATIENCE) => format!("it did not ask within {PATIENCE:?}"),
        };
        let _ = child.kill().await;
        Err(why)
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["run".into(), FLAG.into()];
        if let Some(file) = &self.file {
            arguments.push("--config".into());
            arguments.push(file.into());
        }
        arguments
    }
}

/// Whether a socket can stand there: Pingora would panic where it cannot.
pub(super) fn usable(socket: &Path) -> Result<(), String> {
    let folder = socket.parent().unwrap_or(Path::new("."));
    if folder.is_dir() {
        return Ok(());
    }
    Err(format!(
        "{}: no such folder; make it, or name another one in shutdown.upgrade_socket",
        folder.display()
    ))
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// A child that ends while we live must be waited for.
fn reap(mut child: Child) {
    tokio::spawn(async move {
        let ended = child.wait().await;
        log::warn!("successor ended {}", told(ended));
    });
}

fn told(ended: io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}
