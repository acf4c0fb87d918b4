//! Everything that can happen to Redis. No client's call fails by it, `/readyz` stays green, and when
//! it is over all is exact again: who holds what, what was learned, what operators wished.
//!
//! | fault | test |
//! |---|---|
//! | refused; kill -9 and empty restart; with old data | `..the_server..`: killed, back and empty; killed, back with old data |
//! | SIGSTOP and SIGCONT; FLUSHALL; NOSCRIPT; BUSY; client killed | `..the_server..` |
//! | OOM; eviction; READONLY replica; MASTERDOWN; ACL without EVAL; password rotated, so NOAUTH and a wrong password | `..the_server..` |
//! | black hole; accepts and is silent; accepts and closes; reset mid reply; half a reply; 500 ms late; network partition of one gateway | `..the_wire..`; `election.rs`: cut off |
//! | 5 s late | for who waits 200 ms, the same as silent: `..the_wire..` |
//! | garbage; wrong types; LOADING; CLUSTERDOWN; MOVED; ASK; max clients; no disk | `..the_wire..`: each of `SAID` |
//! | WRONGTYPE, foreign and oversized values under our keys; many foreign keys | `..under_our_keys..`; `f077_..`: neither KEYS nor SCAN is ever sent |
//! | failover to another address; DNS change | `failover.rs` |
//! | clock of the server an hour off | `sim.rs` |

use crate::redis::Server;
use crate::rig::{all_elsewhere, call, count, daemons, hand, hold, learn, member, met, wish};
use crate::support::client::Dify;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::wire::{Mood, Wire};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use twolane::demo::daemon::Daemon;
use twolane::model::clock;
use twolane::nodes::Hand;
use twolane::share::Keys;
use twolane::upstream::Standing;

/// Two gateways, and one Redis behind a wire.
pub(crate) struct Scene {
    pub(crate) redis: Server,
    wire: Wire,
    _nodes: Vec<Daemon>,
    a: Gateway,
    b: Gateway,
    round: u64,
    busy: Option<Child>,
}

impl Scene {
    async fn new(arguments: &[&str]) -> Self {
        Self::around(Server::with(arguments).await, "").await
    }

    /// The same, and how the gateways find it.
    pub(crate) async fn around(redis: Server, share: &str) -> Self {
        let nodes = daemons(2).await;
        let wire = Wire::to(redis.address()).await;
        let a = member(&nodes, &wire.url(), share).await;
        let b = member(&nodes, &wire.url(), share).await;
        met(&[&a, &b]).await;
        Self {
            redis,
            wire,
            _nodes: nodes,
            a,
            b,
            round: 0,
            busy: None,
        }
    }

    /// One fault from its beginning until all is exact again.
    pub(crate) async fn play(
        &mut self,
        name: &str,
        down: bool,
        begin: impl AsyncFnOnce(&mut Self),
        end: impl AsyncFnOnce(&mut Self),
    ) {
        self.round += 1;
        let dify = self.a.dify();
        let before = hold(&dify).await;
        begin(self).await;
        if down {
            let fleet = &self.a.embedded.live().fleet;
            eventually(&format!("{name}: it is felt"), async || {
                fleet.standing() == Standing::Down
            })
            .await;
        }
        self.serves(name, &dify).await;
        // What happens meanwhile must not be lost.
        let during = hold(&dify).await;
        learn(&self.a.embedded, "op", 3, Duration::from_millis(5));
        learn(&self.b.embedded, "op", 2, Duration::from_millis(5));
        wish(&self.a, "n2", self.state().word()).await;
        end(self).await;
        let ended = clock::now();
        self.exact(name).await;
        println!("{name}: exact again after {:?}", ended.elapsed());
        drop((before, during));
        eventually(&format!("{name}: what ended is gone"), async || {
            all_elsewhere(&self.b.embedded) == 0
        })
        .await;
        self.serves(name, &dify).await;
    }

    /// What an operator wishes for n2 in this round.
    fn state(&self) -> Hand {
        [Hand::Drain, Hand::Ready][(self.round % 2) as usize]
    }

    /// Both know all that happened so far.
    async fn exact(&self, name: &str) {
        let total = 5 * self.round;
        eventually(&format!("{name}: all is exact again"), async || {
            let exact = |gateway: &Gateway| count(&gateway.embedded, "op") == total;
            all_elsewhere(&self.b.embedded) == 2
                && all_elsewhere(&self.a.embedded) == 0
                && exact(&self.a)
                && exact(&self.b)
                && hand(&self.b.embedded, "n2") == self.state()
        })
        .await;
    }

    /// Redis itself has all that was ever learned: for operators, and for who comes later.
    async fn is_whole(&self, name: &str) {
        let total = format!("\"count\":{},", 5 * self.round);
        eventually(&format!("{name}: Redis knows all"), async || {
            let stats = self.redis.cli(&["HGET", "twolane:request:stats", "op"]);
            stats.contains(&total)
        })
        .await;
    }

    async fn serves(&self, name: &str, dify: &Dify) {
        for _ in 0..10 {
            call(dify).await;
        }
        let ready = self.a.admin("/readyz").await;
        assert_eq!(ready.status, 200, "{name}: {}", ready.text());
    }
}

/// Whatever comes in place of an answer.
const SAID: [(&str, &[u8]); 20] = [
    ("garbage", b"\x00\xff\x17garbage\r\n"),
    ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("another type", b"+OK\r\n"),
    ("a number", b":7\r\n"),
    ("nothing", b"$-1\r\n"),
    ("an empty list", b"*0\r\n"),
    ("a short list", b"*2\r\n:1\r\n$1\r\nx\r\n"),
    ("an endless list", b"*1000000000\r\n"),
    (
        "loading",
        b"-LOADING Redis is loading the dataset in memory\r\n",
    ),
    ("no primary", b"-MASTERDOWN Link with MASTER is down\r\n"),
    (
        "read only",
        b"-READONLY You can't write against a read only replica.\r\n",
    ),
    ("busy", b"-BUSY Redis is busy running a script.\r\n"),
    ("no script, ever", b"-NOSCRIPT No matching script.\r\n"),
    ("shards down", b"-CLUSTERDOWN The cluster is down\r\n"),
    ("moved", b"-MOVED 1 127.0.0.1:1\r\n"),
    ("ask", b"-ASK 1 127.0.0.1:1\r\n"),
    (
        "no memory",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    ),
    (
        "no disk",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
    ),
    ("no password", b"-NOAUTH Authentication required.\r\n"),
    ("full", b"-ERR max number of clients reached\r\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_wire_does_no_call_fails_and_all_is_exact_afterwards() {
    let mut scene = Scene::new(&[]).await;
    let moods = [
        ("accepts and closes", true, Mood::Closes),
        ("accepts and is silent", true, Mood::Silent),
        ("500 ms late", true, Mood::Late(Duration::from_millis(500))),
        ("cut in the middle", true, Mood::CutShort),
        ("half an answer", true, Mood::Half),
        ("each piece twice", false, Mood::Twice),
    ];
    let said = SAID.map(|(name, bytes)| (name, true, Mood::Says(bytes)));
    for (name, down, mood) in moods.into_iter().chain(said) {
        let begin = async |scene: &mut Scene| scene.wire.set(mood);
        let end = async |scene: &mut Scene| scene.wire.set(Mood::Plain);
        scene.play(name, down, begin, end).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_server_does_no_call_fails_and_all_is_exact_afterwards() {
    let mut scene = Scene::new(&["--lua-time-limit", "50"]).await;
    let nothing = async |_: &mut Scene| {};
    let begin = async |scene: &mut Scene| scene.redis.signal("STOP");
    scene
        .play("frozen", true, begin, async |scene| {
            scene.redis.signal("CONT");
        })
        .await;
    let begin = async |scene: &mut Scene| scene.redis.kill();
    scene
        .play("killed, back and empty", true, begin, async |scene| {
            scene.redis.restart().await;
        })
        .await;
    scene.is_whole("killed, back and empty").await;
    let begin = async |scene: &mut Scene| {
        assert_eq!(scene.redis.cli(&["SAVE"]), "OK");
    };
    let end = async |scene: &mut Scene| {
        scene.exact("before it is killed").await;
        scene.redis.kill();
        scene.redis.restart().await;
    };
    scene
        .play("killed, back with old data", false, begin, end)
        .await;
    scene.is_whole("killed, back with old data").await;
    let say = |scene: &Scene, command: &[&str]| scene.redis.cli(command);
    let begin = async |scene: &mut Scene| {
        say(scene, &["FLUSHALL"]);
    };
    scene
        .play("everything is deleted", false, begin, nothing)
        .await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["SCRIPT", "FLUSH"]);
    };
    scene
        .play("the script is forgotten", false, begin, nothing)
        .await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["CLIENT", "KILL", "TYPE", "normal"]);
    };
    scene
        .play("clients are killed", false, begin, nothing)
        .await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["CONFIG", "SET", "maxmemory", "1"]);
    };
    let end = async |scene: &mut Scene| {
        say(scene, &["CONFIG", "SET", "maxmemory", "0"]);
    };
    scene.play("out of memory", true, begin, end).await;
    let begin = async |scene: &mut Scene| {
        say(
            scene,
            &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"],
        );
        say(scene, &["CONFIG", "SET", "maxmemory", "1"]);
    };
    scene.play("our keys are evicted", false, begin, end).await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["REPLICAOF", "127.0.0.1", "1"]);
    };
    let end = async |scene: &mut Scene| {
        say(scene, &["REPLICAOF", "NO", "ONE"]);
    };
    scene.play("a replica, read only", true, begin, end).await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["CONFIG", "SET", "replica-serve-stale-data", "no"]);
        say(scene, &["REPLICAOF", "127.0.0.1", "1"]);
    };
    scene
        .play("a replica without its primary", true, begin, end)
        .await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["ACL", "SETUSER", "default", "-eval", "-evalsha"]);
    };
    let end = async |scene: &mut Scene| {
        say(scene, &["ACL", "SETUSER", "default", "+@all"]);
    };
    scene
        .play("no right to run scripts", true, begin, end)
        .await;
    let begin = async |scene: &mut Scene| {
        say(scene, &["CONFIG", "SET", "requirepass", "pw"]);
        scene
            .redis
            .cli_as(&["-a", "pw"], &["CLIENT", "KILL", "TYPE", "normal"]);
    };
    let end = async |scene: &mut Scene| {
        scene
            .redis
            .cli_as(&["-a", "pw"], &["CONFIG", "SET", "requirepass", ""]);
    };
    scene.play("another password", true, begin, end).await;
    let begin = async |scene: &mut Scene| {
        let mut endless = Command::new("redis-cli");
        endless.args([
            "-p",
            &scene.redis.port.to_string(),
            "EVAL",
            "while true do end",
            "0",
        ]);
        scene.busy = Some(endless.stdout(Stdio::null()).spawn().unwrap());
    };
    let end = async |scene: &mut Scene| {
        eventually("the endless script ends", async || {
            scene.redis.cli(&["SCRIPT", "KILL"]) == "OK"
        })
        .await;
        let _ = scene.busy.take().unwrap().wait();
    };
    scene.play("busy with a script", true, begin, end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_lies_under_our_keys_no_call_fails_and_all_is_exact_afterwards() {
    let mut scene = Scene::new(&[]).await;
    let nothing = async |_: &mut Scene| {};
    let keys = Keys::new("twolane:", false);
    let begin = async |scene: &mut Scene| {
        scene.redis.cli(&["SET", "somebody:else", "1"]);
        for key in keys.all() {
            scene.redis.cli(&["DEL", key]);
            scene.redis.cli(&["RPUSH", key, "x"]);
        }
    };
    scene
        .play("lists under all our keys", false, begin, nothing)
        .await;
    assert_eq!(
        scene.redis.cli(&["GET", "somebody:else"]),
        "1",
        "only our own keys are deleted"
    );
    let begin = async |scene: &mut Scene| {
        let cli = |command: &[&str]| scene.redis.cli(command);
        cli(&["SET", "twolane:fleet:leader", "me!"]);
        cli(&[
            "HSET",
            "twolane:fleet:meta",
            "version",
            "many",
            "epoch",
            "?",
        ]);
        cli(&[
            "HSET",
            "twolane:fleet:gateways",
            "x",
            "y",
            "z",
            "1 2 3 4 {\"leases\":7}",
        ]);
        cli(&["HSET", "twolane:fleet:hands", "n1", "yes", "n2", "0 0"]);
        cli(&["HSET", "twolane:fleet:turns", "main/short", "three"]);
        cli(&["HSET", "twolane:fleet:learned", "op", "long!", "x", ";;;"]);
        cli(&["ZADD", "twolane:fleet:changed", "99999999", "x", "1", "y"]);
    };
    scene
        .play("foreign values in our keys", false, begin, nothing)
        .await;
    let begin = async |scene: &mut Scene| {
        let large = "redis.call('HSET', KEYS[1], ARGV[1], '1 1 1 1 ' .. string.rep('x', 20000000))";
        for key in ["twolane:fleet:gateways", "twolane:fleet:learned"] {
            scene.redis.cli(&["EVAL", large, "1", key, "large"]);
        }
    };
    scene
        .play(
            "twenty megabytes in one of our fields",
            false,
            begin,
            nothing,
        )
        .await;
    let begin = async |scene: &mut Scene| {
        let many = "for i = 1, 200000 do redis.call('SET', 'foreign:' .. i, i) end";
        scene.redis.cli(&["EVAL", many, "0"]);
    };
    scene
        .play("two hundred thousand foreign keys", false, begin, nothing)
        .await;
}
