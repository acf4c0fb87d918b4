//! Does the real script do what the book does? The same letters to both.

use crate::book::{Book, Loss};
use crate::redis::Server;
use fastrand::Rng;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use twolane::config::Share;
use twolane::model::{Operation, Secret, clock};
use twolane::share::{
    Answer, Chores, Desk, Keys, Lead, Learned, Letter, Link, Matter, Report, Terms, Turns, Views,
    Wish,
};

fn settings(server: &Server) -> Share {
    Share {
        urls: vec![Secret::new(server.url())],
        timeout: Duration::from_secs(2),
        ..Share::default()
    }
}

fn terms() -> Terms {
    Terms {
        ttl: Duration::from_secs(2),
        most: NonZeroUsize::new(1000).unwrap(),
        window: 5,
    }
}

/// Without what time does to it, and in one order.
fn plain(mut answer: Answer) -> Answer {
    answer.lasting = Duration::ZERO;
    answer.time = 0;
    let begun = answer.epoch.find(':').unwrap();
    answer.epoch.truncate(begun);
    for row in &mut answer.rows {
        row.age = 0;
    }
    answer.rows.sort_by(|a, b| a.id.cmp(&b.id));
    answer.wishes.sort();
    // The book has its own, and the script's is tested apart.
    answer.digest.clear();
    answer
}

fn lose(server: &Server, loss: Loss) {
    let keys = Keys::new("twolane:", false);
    let at = match loss {
        Loss::All => {
            server.cli(&["FLUSHALL"]);
            return;
        }
        // A restart: this plays no disk, `faults.rs` does.
        Loss::Latest => unreachable!("not among the losses that are played here"),
        Loss::Meta => 0,
        Loss::Gateways => 1,
        Loss::Wishes => {
            keys.all()[2..5].iter().for_each(|key| {
                server.cli(&["DEL", key]);
            });
            return;
        }
        Loss::Leader => 6,
        Loss::Learned => 7,
        Loss::Changed => 8,
    };
    server.cli(&["DEL", &keys.all()[at]]);
}

fn report(dice: &mut Rng) -> Report {
    let mut report = Report::default();
    for _ in 0..dice.usize(0..3) {
        let mut operation = Operation::new("tool/invoke");
        operation.push(&format!("ä b;={}", dice.u8(0..3)));
        report.learned.push(Learned {
            operation,
            samples: (0..dice.usize(1..90))
                .map(|_| dice.u64(0..86_400_000_000_000))
                .collect(),
            long: dice.bool(),
        });
    }
    if dice.u8(0..4) == 0 {
        let (matter, name, words) = [
            (Matter::State, "n 1", ["ready", "drain"]),
            (Matter::Weight, "n 1", ["7/1", "1/1"]),
            (Matter::Pin, "tool/invoke|ä b;", ["long", Wish::NONE]),
        ][dice.usize(0..3)];
        let word = words[dice.usize(0..2)];
        report.wishes.push(Wish::new(matter, name, word));
    }
    if dice.u8(0..16) == 0 {
        let word = ["auto", "short"][dice.usize(0..2)];
        let remembered = Wish::new(Matter::Pin, "tool/invoke|ä b;", word);
        report.remembered.push(remembered);
    }
    if dice.bool() {
        report.turns.push(Turns {
            name: "main/short".to_owned(),
            many: dice.u64(1..300),
        });
    }
    report.views = Views {
        nodes: vec![("n1".to_owned(), "{}".to_owned())],
        members: Vec::new(),
        custom: vec![("acme_x".to_owned(), dice.u8(..).to_string())],
    };
    report
}

#[tokio::test]
async fn redis_and_the_book_answer_alike() {
    let server = Server::start().await;
    let mut link = Link::new(&settings(&server)).unwrap();
    let mut unchanged = 0;
    for seed in 0..12 {
        server.cli(&["FLUSHALL"]);
        let mut book = Book::default();
        let mut dice = Rng::with_seed(seed);
        let mut desks: Vec<_> = ["a", "b", "c"]
            .map(|id| Desk::new(id, terms(), dice.u64(..)))
            .into();
        let mut old: Vec<Letter> = Vec::new();
        for step in 0..60 {
            if dice.u8(0..15) == 0 {
                let kinds = [
                    Loss::All,
                    Loss::Meta,
                    Loss::Gateways,
                    Loss::Wishes,
                    Loss::Leader,
                    Loss::Learned,
                    Loss::Changed,
                ];
                let loss = kinds[dice.usize(0..kinds.len())];
                lose(&server, loss);
                book.lose(loss);
            }
            let writer = dice.usize(0..3);
            let desk = &mut desks[writer];
            let now = clock::now();
            let letter = match dice.u8(0..12) {
                0 if !old.is_empty() => old[dice.usize(0..old.len())].clone(),
                1 => desk.write_leave(now),
                _ => desk.write(report(&mut dice), now),
            };
            let mut letter = letter;
            // Nobody's word runs out while this is played.
            if let Some(lead) = &mut letter.lead {
                lead.ms = 50_000;
            }
            letter.limit = dice.usize(1..4);
            if let Some(chores) = letter.chores.as_mut().filter(|_| dice.bool()) {
                let bury = ["a", "b", "c"].map(|id| (id.to_owned(), dice.u64(0..60)));
                (chores.sweep, chores.bury) = (true, bury.into());
            }
            let real = link
                .carry(&Letter {
                    leave: letter.leave,
                    ..letter.clone()
                })
                .await;
            let real = match real {
                Ok(answer) => answer,
                // A link ends with its gateway; here three share one.
                Err(error) if error.what.contains("has left") => {
                    link = Link::new(&settings(&server)).unwrap();
                    link.carry(&letter).await.unwrap()
                }
                Err(error) => panic!("{error}"),
            };
            let played = book.exchange(&letter, server_now(&server));
            let mut real = real;
            if real.digest == letter.heard {
                // The book's digests are others: it tells them again.
                assert!(real.wishes.is_empty(), "{letter:?}");
                real.wishes.clone_from(&played.wishes);
                unchanged += 1;
            }
            assert_eq!(
                plain(real.clone()),
                plain(played),
                "seed {seed} step {step} {letter:?}"
            );
            old.push(letter.clone());
            if dice.u8(0..4) > 0 {
                // An old letter's answer says nothing to whoever reads it.
                desks[writer].read(&letter, real, now);
            }
        }
    }
    assert!(
        unchanged > 100,
        "wishes are told when they change: {unchanged}"
    );
}

fn server_now(server: &Server) -> u64 {
    let time = server.cli(&["TIME"]);
    let mut lines = time.lines().map(|line| line.parse::<u64>().unwrap());
    lines.next().unwrap() * 1000 + lines.next().unwrap() / 1000
}

fn letter(id: &str, seq: u64) -> Letter {
    Letter {
        id: id.to_owned(),
        seq,
        body: "{}".to_owned(),
        nonce: "one".to_owned(),
        most: 1000,
        limit: 100,
        window: 5,
        ..Letter::default()
    }
}

fn leading(mut letter: Letter, fence: u64, sweep: bool) -> Letter {
    letter.lead = Some(Lead {
        token: format!("t{}", letter.id),
        ms: 2000,
    });
    letter.chores = Some(Chores {
        fence,
        sweep,
        bury: vec![("dead".to_owned(), 7), ("alive".to_owned(), 6)],
        unseen_ms: 86_400_000,
        views: None,
    });
    letter
}

#[tokio::test]
async fn f063_an_old_term_does_nothing_any_more() {
    let server = Server::start().await;
    let mut link = Link::new(&settings(&server)).unwrap();
    let first = link
        .carry(&leading(letter("a", 1), 0, false))
        .await
        .unwrap();
    let (id, _, fence) = first.leader.clone().unwrap();
    assert_eq!(
        (id.as_str(), first.done),
        ("a", false),
        "nobody acts before it knows its term"
    );
    let acted = link
        .carry(&leading(letter("a", 2), fence, false))
        .await
        .unwrap();
    assert!(acted.done);
    let refused = link
        .carry(&leading(letter("b", 1), fence, true))
        .await
        .unwrap();
    assert!(!refused.done, "another's term");
    // a is frozen: its word ends, b is elected, and then a's letter arrives after all.
    server.cli(&["DEL", "twolane:fleet:leader"]);
    let second = link
        .carry(&leading(letter("b", 2), 0, false))
        .await
        .unwrap();
    let (id, _, next) = second.leader.unwrap();
    assert_eq!(id, "b");
    assert!(next > fence, "each term is higher");
    let late = link
        .carry(&leading(letter("a", 3), fence, true))
        .await
        .unwrap();
    assert!(!late.done, "the fence");
    assert_eq!(late.leader.unwrap().0, "b");
    let pttl: i64 = server
        .cli(&["PTTL", "twolane:fleet:leader"])
        .parse()
        .unwrap();
    assert!((1..=2000).contains(&pttl));
    let acted = link
        .carry(&leading(letter("b", 3), next, true))
        .await
        .unwrap();
    assert!(acted.done);
}

#[tokio::test]
async fn f065_the_leader_sweeps_what_is_old() {
    let server = Server::start().await;
    let mut link = Link::new(&settings(&server)).unwrap();
    let mut desk = Desk::new("a", terms(), 1);
    let mut write = |samples: &[u64], now: Instant| {
        let learned = Learned {
            operation: Operation::new("op"),
            samples: samples.to_vec(),
            long: true,
        };
        desk.write(
            Report {
                learned: vec![learned],
                ..Report::default()
            },
            now,
        )
    };
    link.carry(&write(&[7_000_000_000; 3], clock::now()))
        .await
        .unwrap();
    assert_eq!(
        server.cli(&["SISMEMBER", "twolane:request:long_requests", "op"]),
        "1"
    );
    let hour = 3_600_000;
    let past = |hours: u64| server_now(&server) - hours * hour;
    server.cli(&["ZADD", "twolane:fleet:seen", &past(25).to_string(), "op"]);
    server.cli(&["SADD", "twolane:request:long_requests", "nothing"]);
    let told = format!("{} 7 0 0 {{}}", past(1));
    server.cli(&["HSET", "twolane:fleet:gateways", "dead", &told]);
    let gateways = || server.cli(&["HKEYS", "twolane:fleet:gateways"]);
    server.cli(&["HSET", "twolane:fleet:gateways", "alive", &told]);
    assert!(gateways().contains("dead"));
    let first = link.carry(&leading(letter("b", 1), 0, true)).await.unwrap();
    assert!(gateways().contains("dead"), "only the leader sweeps");
    let fence = first.leader.unwrap().2;
    let done = link
        .carry(&leading(letter("b", 2), fence, true))
        .await
        .unwrap();
    assert!(!done.done, "a leads, not b");
    server.cli(&["DEL", "twolane:fleet:leader"]);
    let fence = link
        .carry(&leading(letter("b", 3), 0, true))
        .await
        .unwrap()
        .leader
        .unwrap()
        .2;
    for seq in 4..6 {
        let swept = link
            .carry(&leading(letter("b", seq), fence, true))
            .await
            .unwrap();
        assert!(swept.done, "twice is once");
        assert!(!gateways().contains("dead"));
        assert!(gateways().contains("alive"), "it has written since");
        for (command, key) in [
            ("HKEYS", "twolane:request:stats"),
            ("HKEYS", "twolane:fleet:learned"),
            ("SMEMBERS", "twolane:request:long_requests"),
        ] {
            assert_eq!(server.cli(&[command, key]), "", "{key}");
        }
    }
}

#[tokio::test]
async fn f070_f071_the_seeds_keys_show_what_was_learned() {
    let server = Server::start().await;
    let mut link = Link::new(&settings(&server)).unwrap();
    let mut desk = Desk::new("a", terms(), 1);
    let mut tell = async |samples: &[u64], long: bool| {
        let mut operation = Operation::new("tool/invoke");
        operation.push("a/b");
        let learned = vec![Learned {
            operation,
            samples: samples.to_vec(),
            long,
        }];
        let letter = desk.write(
            Report {
                learned,
                ..Report::default()
            },
            clock::now(),
        );
        let answer = link.carry(&letter).await.unwrap();
        desk.read(&letter, answer, clock::now()).unwrap();
    };
    tell(&[6_000_000_000, 7_000_000_000], true).await;
    tell(&[8_000_000_000], true).await;
    let shown = server.cli(&["HGETALL", "twolane:request:stats"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "tool/invoke|a/b"));
    let stats: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(stats["count"], 3);
    assert_eq!(stats["avg_ms"], 7000);
    assert_eq!(stats["max_ms"], 8000);
    assert_eq!(stats["long"], true);
    assert_eq!(stats["samples"], serde_json::json!([6000, 7000, 8000]));
    assert!(stats["last_seen"].as_u64().unwrap() > 1_700_000_000);
    let member = || {
        server.cli(&[
            "SISMEMBER",
            "twolane:request:long_requests",
            "tool/invoke|a/b",
        ])
    };
    assert_eq!(member(), "1");
    tell(&[1_000_000; 9], false).await;
    assert_eq!(member(), "0");
    let shown = server.cli(&["HGET", "twolane:request:stats", "tool/invoke|a/b"]);
    let stats: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (
            stats["count"].as_u64(),
            stats["samples"].as_array().unwrap().len()
        ),
        (Some(12), 5)
    );
}

#[tokio::test]
async fn no_key_lives_for_ever_and_the_table_is_bounded() {
    let server = Server::start().await;
    let mut link = Link::new(&settings(&server)).unwrap();
    let mut desk = Desk::new("a", terms(), 1);
    for round in 0..3 {
        let learned = (0..500).map(|n| Learned {
            operation: Operation::new(&format!("e|{round}/{n}")),
            samples: vec![9_000_000_000],
            long: true,
        });
        let report = Report {
            learned: learned.collect(),
            wishes: vec![
                Wish::new(Matter::State, "n1", "drain"),
                Wish::new(Matter::Weight, "n1", "7/1"),
                Wish::new(Matter::Pin, "op", "long"),
            ],
            turns: vec![Turns {
                name: "x".to_owned(),
                many: 1,
            }],
            ..Report::default()
        };
        let letter = desk.write(report, clock::now());
        let answer = link.carry(&letter).await.unwrap();
        desk.read(&letter, answer, clock::now()).unwrap();
    }
    let report = Report {
        views: Views {
            nodes: vec![("n1".to_owned(), "{}".to_owned())],
            members: vec![("a".to_owned(), "{}".to_owned())],
            custom: vec![("acme_x".to_owned(), "3".to_owned())],
        },
        ..Report::default()
    };
    let letter = desk.write(report, clock::now());
    assert!(link.carry(&letter).await.unwrap().done);
    for name in ["fleet:learned", "request:stats"] {
        let key = format!("twolane:{name}");
        assert_eq!(server.cli(&["HLEN", &key]), "1000", "{key}");
    }
    let keys = server.cli(&["KEYS", "*"]);
    assert_eq!(keys.lines().count(), 15, "{keys}");
    for key in keys.lines() {
        let ttl: i64 = server.cli(&["PTTL", key]).parse().unwrap();
        assert!(ttl > 0, "{key} lives for ever");
        assert!(
            Keys::new("twolane:", false)
                .all()
                .iter()
                .any(|own| own == key)
        );
    }
}

#[tokio::test]
async fn f076_four_gateways_count_four_thousand_completions_exactly() {
    let server = Server::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for gateway in ["a", "b", "c", "d"] {
        let mut link = Link::new(&settings(&server)).unwrap();
        tasks.spawn(async move {
            let mut desk = Desk::new(gateway, terms(), fastrand::u64(..));
            let mut known = 0;
            for n in 0..1000 {
                let learned = Learned {
                    operation: Operation::new("op"),
                    samples: vec![n],
                    long: false,
                };
                let letter = desk.write(
                    Report {
                        learned: vec![learned],
                        ..Report::default()
                    },
                    clock::now(),
                );
                let answer = link.carry(&letter).await.unwrap();
                // Every third answer is lost on its way.
                if n % 3 != 0 {
                    let news = desk.read(&letter, answer, clock::now()).unwrap();
                    known = heard(known, n + 1, &news);
                }
            }
            (desk, link, known)
        });
    }
    for (mut desk, mut link, mut known) in tasks.join_all().await {
        let letter = desk.write(Report::default(), clock::now());
        let answer = link.carry(&letter).await.unwrap();
        known = heard(
            known,
            1000,
            &desk.read(&letter, answer, clock::now()).unwrap(),
        );
        assert_eq!(known + 1000, 4000, "{}", desk.id());
    }
    let shown = server.cli(&["HGET", "twolane:request:stats", "op"]);
    let stats: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(stats["count"], 4000);
    assert_eq!(stats["samples"].as_array().unwrap().len(), 5);
}

/// What a gateway knows of the others' samples after it heard something.
fn heard(known: u64, own: u64, news: &twolane::share::News) -> u64 {
    news.lessons
        .iter()
        .fold(known, |known, lesson| match lesson.whole {
            true => known.max(lesson.count.saturating_sub(own)),
            false => known + lesson.count,
        })
}
