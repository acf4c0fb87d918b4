//! Which nodes may serve this request now?

use super::{ComebackRules, Hand, Limits, Node, Presence};
use crate::model::{Class, NodeId, PluginPlace, Role};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The nodes a request has tried, by name: those that failed it and those without its plugin.
pub type Tried = SmallVec<[NodeId; 4]>;

/// The nodes that may serve one request now, in pool order. Never empty: only [`screen`] builds
/// one, so no strategy is ever asked to choose from nothing.
#[derive(Debug)]
pub struct Candidates<'a> {
    nodes: Kept<'a>,
    fail_open: bool,
    now: Instant,
    slow_start: Duration,
}

/// Who was kept.
#[expect(
    clippy::large_enum_variant,
    reason = "it lies on the stack for one choice"
)]
#[derive(Debug)]
enum Kept<'a> {
    /// The whole pool: no list is made.
    All(&'a [Arc<Node>]),
    These(Row<'a>),
}

impl<'a> Candidates<'a> {
    /// How many there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        match &self.nodes {
            Kept::All(pool) => pool.len(),
            Kept::These(row) => row.len(),
        }
    }

    /// The candidate at a position.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&'a Arc<Node>> {
        match &self.nodes {
            Kept::All(pool) => pool.get(at),
            Kept::These(row) => row.get(at).map(|(_, node)| *node),
        }
    }

    /// The candidates in pool order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a Arc<Node>> {
        (0..self.len()).map(|at| match &self.nodes {
            Kept::All(pool) => &pool[at],
            Kept::These(row) => row[at].1,
        })
    }

    /// Shows the candidates and their positions, one after the other.
    pub(crate) fn each(&self, mut see: impl FnMut(usize, &'a Node)) {
        match &self.nodes {
            Kept::All(pool) => pool.iter().enumerate().for_each(|(at, node)| see(at, node)),
            Kept::These(row) => {
                let nodes = row.iter().enumerate();
                nodes.for_each(|(at, (_, node))| see(at, node));
            }
        }
    }

    /// Where in its pool a candidate stands.
    #[must_use]
    pub fn pool_position(&self, at: usize) -> usize {
        match &self.nodes {
            Kept::All(_) => at,
            Kept::These(row) => usize::from(row[at].0),
        }
    }

    /// Where among the candidates a place of the pool stands, if its node is one of them.
    #[must_use]
    pub fn position_of(&self, pool_position: usize) -> Option<usize> {
        match &self.nodes {
            Kept::All(pool) => (pool_position < pool.len()).then_some(pool_position),
            Kept::These(row) => {
                let place = |(at, _): &(u16, _)| usize::from(*at).cmp(&pool_position);
                row.binary_search_by(place).ok()
            }
        }
    }

    /// The time of the choice.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// How much of its share a node takes now: less than 1 only while it is in slow start, and
    /// never less than 0.1. For strategies that look at load.
    #[must_use]
    pub fn share(&self, node: &Node) -> f64 {
        node.share(self.now, self.slow_start)
    }

    /// True when every node is unhealthy and these are tried all the same.
    #[must_use]
    pub const fn is_fail_open(&self) -> bool {
        self.fail_open
    }
}

/// What the screen must know of a request.
#[derive(Clone, Copy, Debug)]
pub struct Screening<'a> {
    /// Nodes it has tried.
    pub tried: &'a Tried,
    /// Its plugin.
    pub plugin: PluginPlace,
    /// The time.
    pub now: Instant,
    /// When nobody may serve, try an unhealthy node all the same.
    pub fail_open: bool,
    /// When only backups may serve: all of them, or the first in pool order.
    pub all_backups: bool,
    /// It can be sent once only: nodes known to have the plugin are kept alone, if there are any.
    pub once: bool,
    /// How nodes that came up are treated.
    pub comeback: ComebackRules,
    /// Its class and the limits it must fit into; none where nothing is limited.
    pub limits: Option<(Class, Limits)>,
}

impl Screening<'_> {
    /// Whether this request fits into a node by its limits.
    #[must_use]
    pub fn fits(&self, node: &Node) -> bool {
        self.limits
            .as_ref()
            .is_none_or(|(class, limits)| node.has_room(*class, self.plugin, limits))
    }

    fn candidates<'a>(&self, nodes: Kept<'a>, fail_open: bool) -> Candidates<'a> {
        Candidates {
            nodes,
            fail_open,
            now: self.now,
            slow_start: self.comeback.slow_start,
        }
    }

    /// Any node that may serve will do: none was tried, none must have room, or the plugin for certain.
    fn wants_no_more_than_a_node(&self) -> bool {
        self.tried.is_empty() && self.limits.is_none() && !self.once
    }
}

/// Nobody may serve: how many nodes of the pool failed at each test. The sentence an operator
/// needs at three in the morning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoCandidate {
    /// Nodes in the pool.
    pub total: u16,
    /// Already tried by this request.
    pub tried: u16,
    /// In maintenance.
    pub maint: u16,
    /// Draining.
    pub drain: u16,
    /// Failing their health checks.
    pub unhealthy: u16,
    /// They may serve, and have no room for it now: whoever can wait, should.
    pub full: u16,
}

impl fmt::Display for NoCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes", self.total)?;
        let parts = [
            (self.tried, "tried"),
            (self.full, "full"),
            (self.unhealthy, "unhealthy"),
            (self.drain, "draining"),
            (self.maint, "in maintenance"),
        ];
        let mut lead = ": ";
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{lead}{count} {what}")?;
            lead = ", ";
        }
        Ok(())
    }
}

/// A node that fails so much of its requests does not work soundly: two failures are less.
const UNSOUND: f64 = 0.2;

type Row<'a> = SmallVec<[(u16, &'a Arc<Node>); 16]>;

/// The nodes of a pool, sorted by what speaks against them.
#[derive(Default)]
struct Sorted<'a> {
    /// Nothing does.
    regular: Row<'a>,
    /// They are backups.
    backup: Row<'a>,
    /// They came up not long ago, and whether they have the plugin is not known.
    warming: Row<'a>,
    /// They rest after failures.
    resting: Row<'a>,
    /// They said that the plugin is not there.
    absent: Row<'a>,
    /// They fail their checks.
    sick: Row<'a>,
}

/// Keeps the nodes of a pool that may serve now.
///
/// At most half of those that could work may rest at once, and who rests for failures goes on when
/// no other works soundly: failures that hit every node are not the nodes' fault. Backups count only
/// when no other node may serve, and without `all_backups` only the first of them; nodes that have
/// just come up
/// only when nobody else is known to have the plugin; nodes that lack it only when nobody has it,
/// because what they said may be seconds old; unhealthy nodes, with `fail_open`, only when nobody
/// at all may. A node that is full is not kept, but counts as one that may serve: nobody takes its
/// place, because it will be free again.
///
/// # Errors
/// When nobody may: how many failed at which test.
pub fn screen<'a>(
    pool: &'a [Arc<Node>],
    request: &Screening<'_>,
) -> Result<Candidates<'a>, NoCandidate> {
    if request.wants_no_more_than_a_node() && nothing_is_odd(pool) {
        return Ok(request.candidates(Kept::All(pool), false));
    }
    look_closely(pool, request)
}

fn look_closely<'a>(
    pool: &'a [Arc<Node>],
    request: &Screening<'_>,
) -> Result<Candidates<'a>, NoCandidate> {
    let mut refused = NoCandidate {
        total: u16::try_from(pool.len()).unwrap_or(u16::MAX),
        ..NoCandidate::default()
    };
    // Of a large pool, one allocation: most requests find nearly all nodes here.
    let mut sorted = Sorted {
        regular: Row::with_capacity(pool.len()),
        ..Sorted::default()
    };
    let grace = request.comeback.warmup.max(request.comeback.slow_start);
    for (at, node) in (0u16..).zip(pool) {
        node.look_away(request.now, grace);
        match node.hand() {
            Hand::Maint => refused.maint += 1,
            Hand::Drain => refused.drain += 1,
            Hand::Ready if !request.tried.is_empty() && request.tried.contains(node.id()) => {
                refused.tried += 1;
            }
            Hand::Ready if !node.is_healthy() => {
                refused.unhealthy += 1;
                sorted.sick.push((at, node));
            }
            Hand::Ready => sorted.row(node, request).push((at, node)),
        }
    }
    sorted.wake_who_fails_like_all();
    sorted.wake_the_most_rested(request.now);
    sorted.let_the_warming_in(request);
    if request.once {
        sorted.keep_the_certain(request);
    }
    if !request.all_backups {
        sorted.backup.truncate(1);
    }
    let Sorted {
        regular,
        backup,
        warming,
        absent,
        sick,
        ..
    } = sorted;
    let sick_too = if request.fail_open { sick } else { Row::new() };
    let mut rows = [regular, backup, warming, absent, sick_too].into_iter();
    let Some((at, mut nodes)) = (0..).zip(&mut rows).find(|(_, row)| !row.is_empty()) else {
        return Err(refused);
    };
    if request.limits.is_some() {
        let all = nodes.len();
        nodes.retain(|(_, node)| request.fits(node));
        if nodes.is_empty() {
            refused.full = u16::try_from(all).unwrap_or(u16::MAX);
            return Err(refused);
        }
    }
    Ok(request.candidates(Kept::These(nodes), at == SICK))
}

/// Does nothing speak against any of them? What is true of nearly every moment is found out by adding
/// up one word of each.
fn nothing_is_odd(pool: &[Arc<Node>]) -> bool {
    !pool.is_empty() && pool.iter().fold(0, |odd, node| odd | node.front.odd()) == 0
}

/// Where the unhealthy stand among the rows.
const SICK: usize = 4;

impl<'a> Sorted<'a> {
    fn row(&mut self, node: &Node, request: &Screening<'_>) -> &mut Row<'a> {
        let presence = node.presence(request.plugin, request.now);
        let warmup = request.comeback.warmup;
        if presence == Presence::Absent {
            &mut self.absent
        } else if !node.resting(request.now).is_zero() {
            &mut self.resting
        } else if presence == Presence::Unknown && node.is_warming(request.now, warmup) {
            &mut self.warming
        } else {
            self.of_role(node)
        }
    }

    fn of_role(&mut self, node: &Node) -> &mut Row<'a> {
        match node.role() {
            Role::Backup => &mut self.backup,
            Role::Primary | Role::Secondary => &mut self.regular,
        }
    }

    /// Puts nodes where those of their role are, in pool order.
    fn let_in(&mut self, nodes: Row<'a>) {
        for (at, node) in nodes {
            let row = self.of_role(node);
            row.push((at, node));
            row.sort_by_key(|(at, _)| *at);
        }
    }

    /// Nodes that have just come up are as good as others while nobody is known to have the plugin.
    fn let_the_warming_in(&mut self, request: &Screening<'_>) {
        if self.warming.is_empty() {
            return;
        }
        let mut others = self.regular.iter().chain(&self.backup);
        let known =
            others.any(|(_, node)| node.presence(request.plugin, request.now) == Presence::Present);
        if !known {
            let warming = std::mem::take(&mut self.warming);
            self.let_in(warming);
        }
    }

    fn keep_the_certain(&mut self, request: &Screening<'_>) {
        let certain = |(_, node): &(u16, &Arc<Node>)| {
            node.presence(request.plugin, request.now) == Presence::Present
        };
        for row in [&mut self.regular, &mut self.backup] {
            if row.iter().any(certain) {
                row.retain(|node| certain(node));
            }
        }
    }

    /// Ends the rests of failing nodes when every node that works fails too.
    fn wake_who_fails_like_all(&mut self) {
        if self.resting.is_empty() {
            return;
        }
        let fails = |(_, node): &(u16, &Arc<Node>)| node.failing() >= UNSOUND;
        let rows = [&self.regular, &self.backup, &self.warming];
        if rows.into_iter().flatten().all(fails) {
            let (woken, rest): (Row<'_>, Row<'_>) = self.resting.drain(..).partition(fails);
            self.resting = rest;
            self.let_in(woken);
        }
    }

    /// Ends the shortest rests until no more than half of the nodes rest.
    fn wake_the_most_rested(&mut self, now: Instant) {
        if self.resting.is_empty() {
            return;
        }
        let rows = [&self.regular, &self.backup, &self.warming, &self.absent];
        let others: usize = rows.iter().map(|row| row.len()).sum();
        let most = (self.resting.len() + others) / 2;
        if self.resting.len() > most {
            self.resting.sort_by_key(|(_, node)| node.resting(now));
            let woken = self.resting.len() - most;
            let woken = self.resting.drain(..woken).collect();
            self.let_in(woken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use crate::nodes::{CooldownRules, Plugins};
    use smallvec::smallvec;

    const RULES: CooldownRules = CooldownRules {
        max_fails: 1,
        fail_timeout: Duration::from_secs(30),
        base: Duration::from_secs(10),
        longest: Duration::from_secs(300),
    };

    const COMEBACK: ComebackRules = ComebackRules {
        warmup: Duration::from_secs(60),
        slow_start: Duration::from_secs(10),
    };

    struct Rig {
        pool: Vec<Arc<Node>>,
        now: Instant,
        plugin: PluginPlace,
        all_backups: bool,
    }

    impl Rig {
        fn new(roles: &[Role]) -> Self {
            let now = clock::now();
            let node = |(n, &role): (u16, &Role)| {
                let address = std::net::SocketAddr::from(([10, 0, 0, 1], n));
                Arc::new(Node::new(format!("n{n}").into(), address, (role, 1), now))
            };
            Self {
                pool: (1u16..).zip(roles).map(node).collect(),
                now,
                plugin: Plugins::new().find(Some("a/b")).place(),
                all_backups: false,
            }
        }

        fn ask(&self, tried: &Tried, fail_open: bool) -> Result<Vec<String>, NoCandidate> {
            let screening = Screening {
                tried,
                plugin: self.plugin,
                now: self.now,
                fail_open,
                all_backups: self.all_backups,
                once: false,
                comeback: COMEBACK,
                limits: None,
            };
            let candidates = screen(&self.pool, &screening)?;
            Ok(candidates
                .iter()
                .map(|node| node.id().to_string())
                .collect())
        }

        fn names(&self) -> Vec<String> {
            self.ask(&Tried::new(), false).unwrap()
        }
    }

    #[test]
    fn f240_a_backup_rests_until_every_other_node_is_out() {
        let rig = Rig::new(&[Role::Primary, Role::Backup, Role::Secondary]);
        assert_eq!(rig.names(), ["n1", "n3"]);
        rig.pool[0].set_healthy(false);
        rig.pool[2].set_hand(Hand::Drain);
        assert_eq!(rig.names(), ["n2"]);
    }

    #[test]
    fn f240_backups_replace_one_another_in_the_order_of_the_file_or_serve_together() {
        let mut rig = Rig::new(&[Role::Backup, Role::Primary, Role::Backup, Role::Backup]);
        rig.pool[1].set_healthy(false);
        assert_eq!(rig.names(), ["n1"], "the first one alone");
        let tried: Tried = smallvec!["n1".into()];
        assert_eq!(rig.ask(&tried, false).unwrap(), ["n3"], "then the next");
        rig.pool[0].note_absent(rig.plugin, rig.now, Duration::from_secs(5));
        assert_eq!(rig.names(), ["n3"], "the first one lacks the plugin");
        rig.pool[2].rest(rig.now, Duration::from_secs(5));
        assert_eq!(rig.names(), ["n4"]);
        rig.all_backups = true;
        assert_eq!(rig.names(), ["n4"], "who may not serve does not");
        rig.now += Duration::from_secs(6);
        assert_eq!(rig.names(), ["n1", "n3", "n4"]);
        rig.pool[1].set_healthy(true);
        assert_eq!(rig.names(), ["n2"], "and none while another node can");
    }

    #[test]
    fn a_refusal_counts_who_failed_at_what() {
        let rig = Rig::new(&[Role::Secondary; 5]);
        rig.pool[0].set_healthy(false);
        rig.pool[1].set_hand(Hand::Maint);
        rig.pool[2].set_hand(Hand::Drain);
        let tried: Tried = smallvec!["n4".into(), "n5".into()];
        assert_eq!(
            rig.ask(&tried, false).unwrap_err().to_string(),
            "5 nodes: 2 tried, 1 unhealthy, 1 draining, 1 in maintenance"
        );
    }

    #[test]
    fn failing_open_takes_the_sick_but_never_the_tried_or_the_drained() {
        let rig = Rig::new(&[Role::Secondary; 3]);
        rig.pool.iter().for_each(|node| node.set_healthy(false));
        rig.pool[1].set_hand(Hand::Drain);
        let tried: Tried = smallvec!["n1".into()];
        assert_eq!(rig.ask(&tried, true).unwrap(), ["n3"]);
        assert!(rig.ask(&tried, false).is_err());
    }

    #[test]
    fn a_node_without_the_plugin_is_asked_only_when_nobody_has_it() {
        let rig = Rig::new(&[Role::Secondary; 3]);
        let absent = |n: usize| {
            rig.pool[n].note_absent(rig.plugin, rig.now, Duration::from_secs(5));
        };
        absent(0);
        absent(2);
        assert_eq!(rig.names(), ["n2"]);
        absent(1);
        assert_eq!(
            rig.names(),
            ["n1", "n2", "n3"],
            "what they said may be seconds old"
        );
        rig.pool[2].note_present(rig.plugin);
        assert_eq!(rig.names(), ["n3"]);
    }

    #[test]
    fn what_can_be_sent_once_only_goes_where_the_plugin_is_known_to_be() {
        let rig = Rig::new(&[Role::Secondary; 3]);
        let once = |rig: &Rig| {
            let screening = Screening {
                tried: &Tried::new(),
                plugin: rig.plugin,
                now: rig.now,
                fail_open: false,
                all_backups: false,
                once: true,
                comeback: COMEBACK,
                limits: None,
            };
            screen(&rig.pool, &screening).unwrap().len()
        };
        assert_eq!(once(&rig), 3, "nobody is known to have it");
        rig.pool[1].note_present(rig.plugin);
        assert_eq!(once(&rig), 1);
        assert_eq!(rig.names().len(), 3, "others may try");
    }

    #[test]
    fn at_most_half_of_the_nodes_rest_and_the_longest_rests_go_on() {
        let rig = Rig::new(&[Role::Secondary; 4]);
        for (n, seconds) in [(0, 40), (1, 10), (2, 30)] {
            rig.pool[n].rest(rig.now, Duration::from_secs(seconds));
        }
        assert_eq!(rig.names(), ["n2", "n4"], "n2 has the least left to rest");
        rig.pool[3].rest(rig.now, Duration::from_secs(20));
        assert_eq!(
            rig.names(),
            ["n2", "n4"],
            "the two that rest longest stay out"
        );
    }

    #[test]
    fn f248_a_node_that_came_up_gets_no_plugin_that_others_are_known_to_have() {
        let mut rig = Rig::new(&[Role::Secondary; 3]);
        rig.pool[1].note_came_up(rig.now);
        assert_eq!(
            rig.names(),
            ["n1", "n2", "n3"],
            "nobody is known to have it"
        );
        rig.pool[2].note_present(rig.plugin);
        assert_eq!(rig.names(), ["n1", "n3"], "n1 was there all the time");
        let tried: Tried = smallvec!["n1".into(), "n3".into()];
        assert_eq!(
            rig.ask(&tried, false).unwrap(),
            ["n2"],
            "nobody else is left"
        );
        rig.pool[2].set_healthy(false);
        assert_eq!(rig.names(), ["n1", "n2"], "who has it may not serve");
        rig.pool[2].set_healthy(true);
        rig.pool[2].note_present(rig.plugin);
        rig.pool[1].note_found(rig.plugin, rig.now);
        assert_eq!(rig.names(), ["n1", "n2", "n3"], "a probe has found it");
        rig.pool[0].note_came_up(rig.now);
        assert_eq!(rig.names(), ["n2", "n3"]);
        rig.now += COMEBACK.warmup;
        assert_eq!(rig.names(), ["n1", "n2", "n3"], "the time is over");
    }

    #[test]
    fn f248_a_backup_that_has_the_plugin_goes_before_a_node_that_came_up() {
        let rig = Rig::new(&[Role::Primary, Role::Backup]);
        rig.pool[0].note_came_up(rig.now);
        assert_eq!(rig.names(), ["n1"]);
        rig.pool[1].note_present(rig.plugin);
        assert_eq!(rig.names(), ["n2"]);
        rig.pool[0].note_found(rig.plugin, rig.now);
        assert_eq!(rig.names(), ["n1"]);
    }

    #[test]
    fn requests_without_a_plugin_do_not_wait_for_a_node_to_warm() {
        let mut rig = Rig::new(&[Role::Secondary; 2]);
        rig.plugin = PluginPlace::NONE;
        rig.pool[0].note_present(rig.plugin);
        rig.pool[1].note_came_up(rig.now);
        assert_eq!(rig.names(), ["n1", "n2"]);
    }

    #[test]
    fn failures_that_hit_every_node_send_nobody_to_rest() {
        let rig = Rig::new(&[Role::Secondary; 4]);
        let fails = |n: usize| {
            for _ in 0..6 {
                rig.pool[n].strike(rig.now, &RULES);
            }
        };
        fails(0);
        assert_eq!(rig.names(), ["n2", "n3", "n4"]);
        (1..3).for_each(fails);
        assert_eq!(rig.names().len(), 2, "n4 works, and half go on");
        fails(3);
        assert_eq!(rig.names(), ["n1", "n2", "n3", "n4"]);
        (0..30).for_each(|_| rig.pool[3].note_success());
        rig.pool[3].set_healthy(false);
        rig.pool[3].set_healthy(true);
        assert_eq!(rig.names().len(), 2, "one of them works again");
    }

    #[test]
    fn f121_a_node_that_is_alone_never_rests() {
        let rig = Rig::new(&[Role::Secondary]);
        assert!(rig.pool[0].strike(rig.now, &RULES).is_some());
        assert_eq!(rig.names(), ["n1"]);
    }
}
