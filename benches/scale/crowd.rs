//! Does it carry thousands of streams that say nothing and thousands that talk, and let go of them?

use super::rig::daemon::Wish;
use super::rig::figures::setting;
use super::rig::lanes;
use super::rig::owed;
use super::rig::process::{self, Child, free, until};
use super::rig::streams::Streams;
use std::time::Duration;
use tokio::time::sleep;

const DAEMONS: usize = 3;
/// Between two events of a stream that talks: 20 in a second.
const GAP: Duration = Duration::from_millis(50);

pub(crate) async fn measure() {
    let active = setting("SCALE_ACTIVE", 2_000);
    let all = process::streams(setting("SCALE_IDLE", 10_000) + active);
    let idle = all.saturating_sub(active);
    let seconds = setting("SCALE_SECONDS", 10);
    let ports = free(DAEMONS);
    let _daemons = Child::start("daemons", &ports, &[]);
    for &port in &ports {
        process::answers(port).await;
    }
    let lane = lanes::one("twolane", free(1)[0], &ports).await;
    let lane = lane.expect("it is built in");
    let child = lane.child.as_ref().expect("a proxy is a process");
    let silent = Wish {
        events: 1,
        gap: GAP,
        seed: 0,
        hold: true,
    };
    let talking = Wish {
        events: usize::MAX >> 1,
        ..silent
    };
    let mut warm = Streams::none();
    warm.open_to(20, lane.at, silent).await;
    drop(warm);
    sleep(Duration::from_secs(1)).await;
    let before = child.descriptors();
    let (mut quiet, mut loud) = (Streams::none(), Streams::none());
    quiet.open_to(idle, lane.at, silent).await;
    loud.open_to(active, lane.at, talking).await;
    let (from, cpu) = (loud.events(), child.cpu());
    sleep(Duration::from_secs(seconds as u64)).await;
    let events = loud.events() - from;
    let cpu = (child.cpu() - cpu).as_secs_f64();
    let failed = quiet.failed() + loud.failed();
    let resident = child.resident() / 1024;
    drop((quiet, loud));
    // Connections to nodes may be kept.
    let back = until(|| child.descriptors() <= before + 64).await;
    let left = child.descriptors();
    println!(
        "\n{idle} idle and {active} active streams for {seconds} s: {failed} failed, {} events a second \
         ({} offered) at {:.1} us of processor time, {resident} MiB; descriptors {before} before, {left} after",
        events / seconds,
        active * 1000 / GAP.as_millis() as usize,
        cpu * 1e6 / events as f64,
    );
    let what = format!("failures of {idle} idle and {active} active streams");
    owed::note("scale", &what, &failed.to_string(), "0", failed == 0);
    let what = "descriptors after them";
    owed::note("scale", what, &left.to_string(), &before.to_string(), back);
}
