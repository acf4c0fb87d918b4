//! Which calls arrive, and when? The same for every lane, repeatable by its seed.

use super::dice::Dice;
use super::node::{Kind, Task};
use twolane::model::Class;

/// What a caller asks for. Names follow those of Dify's plugins.
pub(crate) struct Operation {
    pub(crate) op: &'static str,
    pub(crate) plugin: &'static str,
    /// The tool or model.
    pub(crate) item: &'static str,
}

const fn operation(op: &'static str, plugin: &'static str, item: &'static str) -> Operation {
    Operation { op, plugin, item }
}

pub(crate) struct Call {
    /// When it is sent, in seconds from the start.
    pub(crate) at: f64,
    pub(crate) operation: &'static Operation,
    /// Its true class, from its true size; no gateway is told.
    pub(crate) class: Class,
    pub(crate) task: Task,
}

/// A trace and the nodes that it is for.
pub(crate) struct Race {
    pub(crate) name: &'static str,
    pub(crate) nodes: usize,
    pub(crate) kind: Kind,
    /// So many times as fast as what is printed.
    pub(crate) clock: f64,
    /// Whoever has waited so long (seconds of the wall) has failed, and counts as that long.
    pub(crate) patience: f64,
    pub(crate) calls: Vec<Call>,
}

/// Seconds of arrivals.
const LENGTH: f64 = 60.0;

static TOOL: Operation = operation("tool/invoke", "langgenius/google", "google_search");
static MODEL: Operation = operation("llm/invoke", "langgenius/openai", "gpt-4o");

/// Four nodes with eight slots each, first come first served inside; 57 calls per second, 95 % of
/// 50 ms, 5 % streams of 4 to 12 s.
pub(crate) fn slots(seed: u32) -> Race {
    let mut dice = Dice::with_seed(seed);
    let mut calls = Vec::new();
    let mut at = dice.gap(57.0);
    while at < LENGTH {
        let long = dice.share() < 0.05;
        let size = if long { dice.between(4.0, 12.0) } else { 0.05 };
        calls.push(Call {
            at,
            operation: if long { &MODEL } else { &TOOL },
            class: if long { Class::Long } else { Class::Short },
            task: Task {
                plugin: usize::from(long),
                head: 0.0,
                wait: size,
                tail: 0.0,
            },
        });
        at += dice.gap(57.0);
    }
    Race {
        name: "A",
        nodes: 4,
        kind: Kind::Slots { slots: 8 },
        clock: 1.0,
        patience: 60.0,
        calls,
    }
}

/// B4: everybody calls within a second, and again after four and eight, when the last answers have come.
pub(crate) fn crowd(callers: usize, nodes: usize) -> Race {
    let mut dice = Dice::with_seed(1);
    let calls = (0..3 * callers).map(|n| {
        let (wave, place) = (n / callers, n % callers);
        Call {
            at: 4.0 * wave as f64 + place as f64 / callers as f64,
            operation: &TOOL,
            class: Class::Short,
            task: Task {
                plugin: 0,
                head: 0.0,
                wait: dice.between(1.0, 1.2),
                tail: 0.0,
            },
        }
    });
    Race {
        name: "scale",
        nodes,
        kind: Kind::Slots { slots: 1_000_000 },
        clock: 1.0,
        patience: 60.0,
        calls: calls.collect(),
    }
}

/// Race B: each plugin has a short tool and a long operation, alternately a model's stream that
/// hardly computes and a tool that mostly does.
static PLUGINS: [[Operation; 2]; 6] = [
    [
        operation("tool/invoke", "langgenius/google", "google_search"),
        operation("llm/invoke", "langgenius/google", "gemini"),
    ],
    [
        operation("tool/invoke", "langgenius/ocr", "detect_language"),
        operation("tool/invoke", "langgenius/ocr", "scan_document"),
    ],
    [
        operation("tool/invoke", "langgenius/tongyi", "tokenize"),
        operation("llm/invoke", "langgenius/tongyi", "qwen-max"),
    ],
    [
        operation("tool/invoke", "langgenius/charts", "bar"),
        operation("tool/invoke", "langgenius/charts", "render_video"),
    ],
    [
        operation("tool/invoke", "langgenius/openai", "moderate"),
        operation("llm/invoke", "langgenius/openai", "gpt-4o"),
    ],
    [
        operation("tool/invoke", "langgenius/pandas", "describe"),
        operation("tool/invoke", "langgenius/pandas", "fit"),
    ],
];

/// Time is compressed: what is shown as 10 s runs as 1 s.
const CLOCK: f64 = 10.0;
const CORES: u32 = 4;
const NODES: usize = 3;
const LOAD: f64 = 0.8;
/// From here on a call is long, by the race's clock.
const LONG: f64 = 5.0;

/// Three nodes of four cores with one process per plugin, which computes one call at a time; 85 % of
/// 0.25 s, 15 % of 9 s, sizes within a third of that.
pub(crate) fn runtimes(seed: u32) -> Race {
    let mut dice = Dice::with_seed(seed);
    let mut calls = Vec::new();
    // Arrivals at one per second for now: how often is known when the work is.
    let mut at = dice.gap(1.0);
    // As many as six hundred seconds hold, about.
    while calls.len() < 9000 {
        calls.push(runtime_call(&mut dice, at));
        at += dice.gap(1.0);
    }
    // The busiest plugin, or the cores, are to have exactly this load.
    let computing = |plugin: Option<usize>| -> f64 {
        let own = calls
            .iter()
            .filter(|it| plugin.is_none_or(|at| at == it.task.plugin));
        own.map(|it| it.task.head + it.task.tail).sum()
    };
    let nodes = NODES as f64;
    let busiest = (0..PLUGINS.len())
        .map(|plugin| computing(Some(plugin)) / nodes)
        .fold(computing(None) / (nodes * f64::from(CORES)), f64::max);
    let scale = busiest / LOAD / at;
    for call in &mut calls {
        call.at *= scale / CLOCK;
        call.task = call.task.faster(CLOCK);
    }
    Race {
        name: "B",
        nodes: NODES,
        kind: Kind::Runtimes { cores: CORES },
        clock: CLOCK,
        patience: 60.0,
        calls,
    }
}

fn runtime_call(dice: &mut Dice, at: f64) -> Call {
    let long = dice.share() < 0.15;
    let plugin = (dice.share() * PLUGINS.len() as f64) as usize;
    let operation = &PLUGINS[plugin][usize::from(long)];
    let mean = if long { 9.0 } else { 0.25 };
    let size = mean * dice.between(0.67, 1.33);
    let computes = if operation.op == "llm/invoke" {
        0.03
    } else {
        0.6
    };
    Call {
        at,
        operation,
        class: if size >= LONG {
            Class::Long
        } else {
            Class::Short
        },
        task: Task {
            plugin,
            head: size * computes / 2.0,
            wait: size * (1.0 - computes),
            tail: size * computes / 2.0,
        },
    }
}

impl Race {
    pub(crate) fn seconds(&self) -> f64 {
        self.calls.last().map_or(0.0, |call| call.at)
    }
}
