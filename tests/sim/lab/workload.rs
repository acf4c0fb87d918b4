//! Which operations are there, and how long do they take?
//!
//! The mixes are assumptions, chosen to differ: what the real ones are, only a trace of a real
//! installation can say. Durations are what a request takes on an idle node of speed 1.

use twolane::model::Dice;

/// From here on a request is truly long, whatever a policy takes it for.
pub(crate) const TRULY_LONG: f64 = 5.0;
/// The daemon ends whatever runs for longer.
const LONGEST: f64 = 600.0;
/// How much durations of one operation scatter: the sigma of a lognormal law.
const SCATTER: f64 = 0.5;
/// How much those of an unpredictable operation do.
const WIDE: f64 = 1.8;

/// How long one operation takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sizes {
    /// Lognormal: its mean in seconds, and sigma.
    Around { mean: f64, sigma: f64 },
    /// Long with this probability; nothing in the request says so.
    Either { short: f64, long: f64, share: f64 },
    /// Exponential: for closed forms.
    Exponential { mean: f64 },
    /// Always the same: for closed forms.
    Always(f64),
}

impl Sizes {
    const fn around(mean: f64) -> Self {
        Self::Around {
            mean,
            sigma: SCATTER,
        }
    }

    /// Draws one duration, in seconds.
    pub(crate) fn draw(self, dice: &mut Dice) -> f64 {
        let drawn = match self {
            Self::Around { mean, sigma } => {
                mean * (sigma * normal(dice) - sigma * sigma / 2.0).exp()
            }
            Self::Either { short, long, share } => {
                let mean = if dice.f64() < share { long } else { short };
                return Self::around(mean).draw(dice);
            }
            Self::Exponential { mean } => mean * exponential(dice),
            Self::Always(size) => size,
        };
        drawn.clamp(0.002, LONGEST)
    }
}

/// One operation of one plugin.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Which plugin it belongs to.
    pub(crate) plugin: u16,
    /// The path after `/dispatch/`.
    pub(crate) action: &'static str,
    /// How often it is asked for, compared with the others.
    pub(crate) weight: f64,
    /// How long it takes,
    pub(crate) sizes: Sizes,
    /// and in the second half of the run.
    pub(crate) later: Sizes,
    /// The share of its duration in which it needs a core; the rest it waits for somebody else.
    pub(crate) cpu: f64,
}

/// The mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Workload {
    /// 85 % of 0.25 s, 15 % of 9 s.
    Mixed,
    /// 98.5 % of 0.15 s, 1.5 % of 7 s.
    Short,
    /// 40 % of 0.4 s, 60 % of 8 s.
    Long,
    /// Forty functions as Azure's: means lognormal (-0.38, 2.36), popularity by Zipf 0.9.
    Azure,
    /// As `Mixed`, but every operation is short or long by chance.
    Bimodal,
    /// As `Mixed` at first; half-way two short operations turn long and a long one short.
    Drift,
    /// Every operation scatters over three decades.
    Heavy,
    /// All alike.
    Uniform,
}

/// A share of a core for what mostly waits for a model,
const STREAM: f64 = 0.03;
/// for a tool that computes,
const TOOL: f64 = 0.6;
/// and for short requests.
const BRIEF: f64 = 0.5;

impl Workload {
    /// Every mix.
    pub(crate) const ALL: [Self; 8] = [
        Self::Mixed,
        Self::Short,
        Self::Long,
        Self::Azure,
        Self::Bimodal,
        Self::Drift,
        Self::Heavy,
        Self::Uniform,
    ];

    /// Its name in tables.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Short => "short",
            Self::Long => "long",
            Self::Azure => "azure",
            Self::Bimodal => "bimodal",
            Self::Drift => "drift",
            Self::Heavy => "heavy",
            Self::Uniform => "uniform",
        }
    }

    /// Its operations. Only `Azure` draws.
    pub(crate) fn operations(self, dice: &mut Dice) -> Vec<Operation> {
        match self {
            Self::Mixed => two_kinds((0.25, 9.0), 0.15),
            Self::Short => two_kinds((0.15, 7.0), 0.015),
            Self::Long => two_kinds((0.4, 8.0), 0.6),
            Self::Azure => azure(dice),
            Self::Bimodal => all_alike(Sizes::Either {
                short: 0.25,
                long: 9.0,
                share: 0.15,
            }),
            Self::Drift => drift(),
            Self::Heavy => all_alike(Sizes::Around {
                mean: 1.5,
                sigma: WIDE,
            }),
            Self::Uniform => all_alike(Sizes::around(0.5)),
        }
    }
}

/// How many plugins there are.
const PLUGINS: u16 = 6;

/// How often a plugin is asked for, compared with the others: none is as popular as the first.
fn popularity(plugin: u16) -> f64 {
    1.0 / (f64::from(plugin) + 1.0).sqrt()
}

/// Plugins with two short operations and a long one each. Long ones are in turns streams of a model
/// and tools that compute.
fn two_kinds((short, long): (f64, f64), share: f64) -> Vec<Operation> {
    let mut operations = Vec::new();
    for plugin in 0..PLUGINS {
        for action in ["text_embedding/invoke", "tool/get_runtime_parameters"] {
            let weight = (1.0 - share) / 2.0 * popularity(plugin);
            operations.push(operation(
                (plugin, action),
                weight,
                Sizes::around(short),
                BRIEF,
            ));
        }
        let (action, cpu) = if plugin % 2 == 0 {
            ("llm/invoke", STREAM)
        } else {
            ("tool/invoke", TOOL)
        };
        let sizes = Sizes::around(long);
        operations.push(operation(
            (plugin, action),
            share * popularity(plugin),
            sizes,
            cpu,
        ));
    }
    operations
}

fn operation(
    (plugin, action): (u16, &'static str),
    weight: f64,
    sizes: Sizes,
    cpu: f64,
) -> Operation {
    Operation {
        plugin,
        action,
        weight,
        sizes,
        later: sizes,
        cpu,
    }
}

/// Plugins with two tools each that are all alike.
fn all_alike(sizes: Sizes) -> Vec<Operation> {
    (0..PLUGINS)
        .flat_map(|plugin| {
            [("tool/invoke", TOOL), ("llm/invoke", STREAM)]
                .map(|(action, cpu)| operation((plugin, action), popularity(plugin), sizes, cpu))
        })
        .collect()
}

fn drift() -> Vec<Operation> {
    let mut operations = Workload::Mixed.operations(&mut Dice::with_seed(0));
    let (short, long) = (Sizes::around(0.25), Sizes::around(9.0));
    for (at, later) in [(0, long), (3, long), (5, short)] {
        operations[at].later = later;
    }
    operations
}

/// How many functions the trace has, in how many plugins.
const FUNCTIONS: usize = 40;
const OWNERS: u16 = 5;
/// What functions are called, eight to a plugin.
const ACTIONS: [&str; 8] = [
    "llm/invoke",
    "tool/invoke",
    "text_embedding/invoke",
    "rerank/invoke",
    "tts/invoke",
    "speech2text/invoke",
    "moderation/invoke",
    "model/schema",
];
/// No function of the trace takes longer on average.
const LONGEST_MEAN: f64 = 30.0;

/// Means at evenly spaced quantiles of the law, dealt out by chance: two seeds differ in which
/// function is popular, not in how many long ones there are.
fn azure(dice: &mut Dice) -> Vec<Operation> {
    let mut means: Vec<f64> = (0..FUNCTIONS)
        .map(|at| {
            let z = quantile((at as f64 + 0.5) / FUNCTIONS as f64);
            (-0.38 + 2.36 * z).exp().min(LONGEST_MEAN)
        })
        .collect();
    dice.shuffle(&mut means);
    let mut long = 0u32;
    let mut operations = Vec::new();
    for (at, mean) in means.into_iter().enumerate() {
        let plugin = u16::try_from(at).expect("forty functions") % OWNERS;
        let action = ACTIONS[at / usize::from(OWNERS)];
        let weight = 1.0 / (at as f64 + 1.0).powf(0.9);
        let cpu = if mean < TRULY_LONG {
            BRIEF
        } else {
            long += 1;
            if long.is_multiple_of(2) { TOOL } else { STREAM }
        };
        operations.push(operation(
            (plugin, action),
            weight,
            Sizes::around(mean),
            cpu,
        ));
    }
    operations
}

/// A standard normal number.
fn normal(dice: &mut Dice) -> f64 {
    let radius = (2.0 * exponential(dice)).sqrt();
    radius * (std::f64::consts::TAU * dice.f64()).cos()
}

/// A standard exponential number.
pub(crate) fn exponential(dice: &mut Dice) -> f64 {
    -(1.0 - dice.f64()).ln()
}

/// The quantile of the standard normal law: Acklam's rational approximation is more than we need,
/// so the distribution function is inverted by halving.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if below(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The standard normal distribution function, by Simpson's rule from 0.
fn below(z: f64) -> f64 {
    const STEPS: u32 = 200;
    let step = z / f64::from(STEPS);
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let inner: f64 = (1..STEPS)
        .map(|n| {
            let weight = if n % 2 == 1 { 4.0 } else { 2.0 };
            weight * density(step * f64::from(n))
        })
        .sum();
    0.5 + (density(0.0) + inner + density(z)) * step / 3.0
}
