//! Who serves the same arrivals best? The gateway beside HAProxy, in front of nodes that contend.
//!
//! Every part is a process of its own, started from this program: the nodes, the proxy of a lane,
//! and this process, which calls at fixed times whatever became of earlier calls. Lanes run one
//! after the other on the same arrivals. What is printed is explained in `benches/README.md`.
//!
//! `a` or `b` chooses a race, `scale` shows thousands of callers at once, `overhead` what a call costs on its way, `--seeds 7,12` the arrivals, `--lanes twolane,haproxy-leastconn` who
//! takes part, `--lanes none` shows what the event loop says, `--many 120` only compares rules over so
//! many seeds in it, `--quick` leaves out the check of the nodes.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

mod caller;
mod check;
mod dice;
mod event;
mod figures;
mod lanes;
mod node;
mod overhead;
mod process;
mod report;
mod scale;
mod serve;
mod trace;
mod wire;

use figures::Figures;
use lanes::Lane;
use std::process::ExitCode;
use trace::Race;

/// From here on a lane is run again, once: the caller itself was late, in seconds, for one call
/// in a hundred.
const DISTURBED: f64 = 0.015;

/// What was typed.
struct Wish {
    races: Vec<char>,
    seeds: Vec<u32>,
    lanes: Vec<Lane>,
    everybody: bool,
    check: bool,
    many: Option<u32>,
    scale: bool,
    overhead: bool,
}

/// One lane's result.
pub(crate) struct Run {
    pub(crate) lane: Lane,
    pub(crate) figures: Figures,
    /// Processor time of the proxy per call, in microseconds.
    cpu: f64,
    /// How busy the machine was: runnable tasks on average over the last minute.
    busy: String,
    disturbed: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|it| it == "--as") {
        process::play(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    // `cargo bench` runs every bench, and `cargo test --benches` only wants to know that this starts:
    // half an hour must be asked for.
    if !arguments.iter().any(|it| it == "start") {
        println!("not asked for: make race");
        return ExitCode::SUCCESS;
    }
    match wish(&arguments) {
        Ok(wish) => {
            match wish.many {
                _ if wish.scale => scale::run(),
                _ if wish.overhead => overhead::run(),
                Some(seeds) => many(&wish, seeds),
                None => measure(&wish),
            }
            ExitCode::SUCCESS
        }
        Err(what) => {
            let names: Vec<_> = lanes::ALL.iter().map(|lane| lane.name()).collect();
            println!(
                "{what}; known: a, b, scale, overhead, --quick, --many 120, --seeds 7,12, --lanes {}",
                names.join(",")
            );
            ExitCode::FAILURE
        }
    }
}

fn wish(arguments: &[String]) -> Result<Wish, String> {
    let mut wish = Wish {
        races: Vec::new(),
        seeds: Vec::new(),
        lanes: Vec::new(),
        everybody: true,
        check: true,
        many: None,
        scale: false,
        overhead: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut list = || words.next().map_or("", String::as_str).split(',');
        match word.as_str() {
            "--bench" | "start" => {}
            "a" => wish.races.push('a'),
            "b" => wish.races.push('b'),
            "scale" => wish.scale = true,
            "overhead" => wish.overhead = true,
            "--quick" => wish.check = false,
            "--many" => wish.many = list().next().and_then(|text| text.parse().ok()),
            "--seeds" => {
                for text in list() {
                    let seed = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
                    wish.seeds.push(seed);
                }
            }
            "--lanes" => {
                wish.everybody = false;
                for text in list().filter(|text| *text != "none") {
                    let lane = lanes::ALL.iter().find(|lane| lane.name() == text);
                    let lane = lane.ok_or_else(|| format!("{text:?} is no lane"))?;
                    wish.lanes.push(*lane);
                }
            }
            other => return Err(format!("{other:?} is not understood")),
        }
    }
    if wish.races.is_empty() {
        wish.races = vec!['a', 'b'];
    }
    if wish.seeds.is_empty() {
        wish.seeds = vec![7, 12];
    }
    Ok(wish)
}

/// A header whose name nobody can know.
pub(crate) fn header_name() -> String {
    let mut bytes = [0; 8];
    let random = std::fs::File::open("/dev/urandom");
    let mut random = random.expect("the system has dice");
    std::io::Read::read_exact(&mut random, &mut bytes).expect("they never end");
    format!("X-Race-{:016x}", u64::from_le_bytes(bytes))
}

fn race(name: char, seed: u32) -> Race {
    if name == 'a' {
        trace::slots(seed)
    } else {
        trace::runtimes(seed)
    }
}

fn many(wish: &Wish, seeds: u32) {
    for &name in &wish.races {
        report::many(seeds, |seed| race(name, seed));
    }
}

fn measure(wish: &Wish) {
    if wish.check {
        check::closed_forms();
        check::on_the_wire(wish.seeds[0]);
    }
    for name in &wish.races {
        for &seed in &wish.seeds {
            let race = race(*name, seed);
            report::opening(&race, seed);
            let mut runs: Vec<Run> = Vec::new();
            for &lane in chosen(wish, *name) {
                if let Some(why) = lane.absent() {
                    println!("| {} | skipped: {why} |", lane.name());
                    continue;
                }
                let mut run = one(&race, lane);
                report::line(&run, race.kind);
                if run.disturbed {
                    run = one(&race, lane);
                    report::line(&run, race.kind);
                }
                runs.push(run);
            }
            report::theory(&race);
            report::targets(&race, seed, &runs);
        }
    }
}

fn chosen(wish: &Wish, race: char) -> &[Lane] {
    use Lane::{HaproxyLeast, HaproxyRoundRobin, Twolane};
    match (wish.everybody, race) {
        (true, 'a') => &lanes::ALL,
        (true, _) => &[HaproxyRoundRobin, HaproxyLeast, Twolane],
        (false, _) => &wish.lanes,
    }
}

/// One lane, from its start to its last answer.
fn one(race: &Race, lane: Lane) -> Run {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let ports = process::free(race.nodes + 1);
    let (front, nodes) = ports.split_at(1);
    let header = header_name();
    let _nodes = process::nodes(race.kind, &header, nodes);
    process::wait_for(nodes);
    let proxy = lane.start(front[0], nodes, race.clock, folder.path());
    process::wait_for(front);
    let before = proxy.cpu();
    let outcomes = caller::run(race, &header, front);
    let spent = proxy.cpu().saturating_sub(before);
    for failed in outcomes.iter().filter_map(|it| it.failed.as_ref()).take(3) {
        println!("  {}: {failed}", lane.name());
    }
    let figures = Figures::of(&outcomes, race.clock);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Run {
        lane,
        disturbed: figures.late.p99 > DISTURBED,
        figures,
        cpu: spent.as_secs_f64() * 1e6 / outcomes.len() as f64,
        busy: load.split(' ').next().unwrap_or_default().to_owned(),
    }
}
