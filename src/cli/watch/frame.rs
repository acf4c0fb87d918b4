//! How does one frame of a demo look? Nothing but the scene goes in.

use crate::demo::{Now, Scene};
use crate::model::Class;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, Widget};

const SHORT: Style = Style::new().fg(Color::Blue);
const LONG: Style = Style::new().fg(Color::Yellow);
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Bars from nothing to the slowest call of all lanes.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const GRAPH: u16 = 30;

pub(super) fn draw(area: Rect, buffer: &mut Buffer, scene: &Scene) {
    let height = |rows: usize| u16::try_from(rows + 2).unwrap_or(u16::MAX);
    let areas = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(height(scene.lanes.len())),
        Constraint::Length(height(scene.nodes.len().max(scene.learned.len()).min(8))),
        Constraint::Min(2),
    ])
    .split(area);
    head(buffer, areas[0], scene);
    lanes(buffer, areas[1], scene);
    let sides = Layout::horizontal([Constraint::Length(34), Constraint::Min(30)]);
    let sides = sides.split(areas[2]);
    nodes(buffer, sides[0], scene);
    learned(buffer, sides[1], scene);
    news(buffer, areas[3], scene);
}

fn head(buffer: &mut Buffer, area: Rect, scene: &Scene) {
    let seconds = scene.elapsed.as_secs().min(scene.length.as_secs());
    let first = Line::from(vec![
        Span::styled("twolane demo ", BOLD),
        Span::raw(format!(
            "{seconds:>3} of {} s   the clock runs {}x as fast   seed {}   ",
            scene.length.as_secs(),
            crate::demo::CLOCK,
            scene.seed
        )),
        Span::styled("b burst   k kill a node   q quit", QUIET),
    ]);
    let second = Line::styled(format!("the first lane live: {}", scene.address), QUIET);
    Paragraph::new(vec![first, second]).render(area, buffer);
}

fn titled(title: &str) -> Block<'_> {
    let line = Line::styled(title, QUIET);
    Block::new().borders(Borders::TOP).title(line)
}

fn header(names: &[&'static str]) -> Row<'static> {
    Row::new(names.iter().map(|name| Cell::from(*name))).style(QUIET)
}

fn lanes(buffer: &mut Buffer, area: Rect, scene: &Scene) {
    let worst = scene.lanes.iter().flat_map(|lane| &lane.worst);
    let most = worst.copied().fold(1.0, f64::max);
    let best = |figure: fn(&Now) -> f64| {
        let figures = scene.lanes.iter().map(figure);
        figures.fold(f64::INFINITY, f64::min)
    };
    let (best_p99, best_slow) = (best(|lane| lane.p99), best(|lane| lane.slow));
    let mark = |is_best: bool| if is_best { GOOD } else { Style::new() };
    let rows = scene.lanes.iter().map(|lane| {
        let failed = match (lane.lost, lane.failures) {
            (0, 0) => Cell::from("0"),
            (lost, failed) => Cell::from(format!("{failed} (+{lost} with the node)")).style(BAD),
        };
        Row::new(vec![
            Cell::from(lane.strategy).style(BOLD),
            Cell::from(format!("{:.2}", lane.p50)),
            Cell::from(format!("{:.2}", lane.p99)).style(mark(lane.p99 <= best_p99)),
            Cell::from(format!("{:.1}%", 100.0 * lane.slow)).style(mark(lane.slow <= best_slow)),
            Cell::from(format!("{:.1}", lane.long_p95)),
            Cell::from(lane.running.to_string()),
            Cell::from(graph(&lane.worst, most)).style(SHORT),
            failed,
        ])
    });
    let widths = [16, 10, 10, 7, 9, 8, GRAPH, 20].map(Constraint::Length);
    let names = [
        "lane",
        "short p50",
        "short p99",
        ">1 s",
        "long p95",
        "running",
        "slowest short call, by second",
        "failed",
    ];
    Table::new(rows, widths)
        .header(header(&names))
        .block(titled("the same calls in each lane; seconds"))
        .render(area, buffer);
}

/// The last values as bars.
fn graph(values: &[f64], most: f64) -> String {
    let from = values.len().saturating_sub(usize::from(GRAPH));
    let bar = |value: &f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of eight"
        )]
        let at = (value / most * 7.0).round() as usize;
        BARS[at.min(7)]
    };
    values[from..].iter().map(bar).collect()
}

fn nodes(buffer: &mut Buffer, area: Rect, scene: &Scene) {
    let rows = scene.nodes.iter().map(|node| {
        let [short, long] = node.running;
        let state = if node.up {
            Span::styled("up", GOOD)
        } else {
            Span::styled("down", BAD)
        };
        let blocks = |count: u32| "▮".repeat(count.min(12) as usize);
        Row::new(vec![
            Cell::from(node.name.as_str()).style(BOLD),
            Cell::from(state),
            Cell::from(Line::from(vec![
                Span::styled(blocks(short), SHORT),
                Span::styled(blocks(long), LONG),
            ])),
        ])
    });
    let widths = [8, 5, 20].map(Constraint::Length);
    Table::new(rows, widths)
        .header(header(&["node", "", "runs: short, long"]))
        .block(titled("the first lane's nodes"))
        .render(area, buffer);
}

fn learned(buffer: &mut Buffer, area: Rect, scene: &Scene) {
    let rows = scene.learned.iter().map(|row| {
        let style = if row.class == Class::Long {
            LONG
        } else {
            SHORT
        };
        // Five dots are a full window.
        let dots = usize::try_from(row.samples).unwrap_or(5).min(5);
        Row::new(vec![
            Cell::from(row.operation.as_str()),
            Cell::from(format!("{}{}", "●".repeat(dots), "○".repeat(5 - dots))),
            Cell::from(format!("{:.2} s", row.score_s)),
            Cell::from(row.class.word()).style(style),
        ])
    });
    let widths = [
        Constraint::Min(20),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(6),
    ];
    Table::new(rows, widths)
        .header(header(&["operation", "seen", "score", "class"]))
        .block(titled("what it learned"))
        .render(area, buffer);
}

fn news(buffer: &mut Buffer, area: Rect, scene: &Scene) {
    let choice = scene.choice.iter().map(|choice| {
        Line::from(vec![
            Span::styled("last choice  ", QUIET),
            Span::raw(choice.as_str()),
        ])
    });
    let news = scene.news.iter().rev().map(|line| Line::raw(line.as_str()));
    Paragraph::new(choice.chain(news).collect::<Vec<_>>())
        .block(titled("why, and what happened"))
        .render(area, buffer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::snapshot;
    use crate::demo::{Learned, NodeNow};
    use std::time::Duration;

    fn scene() -> Scene {
        let lane = |strategy, worst: &[f64]| Now {
            strategy,
            running: 7,
            p50: 0.21,
            p99: worst.iter().copied().fold(0.3, f64::max),
            slow: 0.013,
            long_p95: 11.2,
            worst: worst.to_vec(),
            ..Now::default()
        };
        let node = |name: &str, up, running| NodeNow {
            name: name.to_owned(),
            up,
            running,
        };
        let learned = |operation: &str, class, score_s, samples| Learned {
            operation: operation.to_owned(),
            class,
            score_s,
            samples,
        };
        Scene {
            elapsed: Duration::from_secs(16),
            length: Duration::from_secs(20),
            seed: 42,
            address: "http://127.0.0.1:40001/ui/".to_owned(),
            lanes: vec![
                lane("adaptive", &[0.2, 0.4, 0.3, 0.5, 1.1, 0.6]),
                Now {
                    lost: 3,
                    ..lane("least_in_flight", &[0.3, 0.9, 2.0, 4.0, 6.5, 3.0])
                },
                lane("round_robin", &[1.0, 3.0, 5.0, 8.0, 12.0, 9.0]),
            ],
            nodes: vec![
                node("node-1", true, [2, 1]),
                node("node-2", false, [0, 0]),
                node("node-3", true, [0, 5]),
            ],
            learned: vec![
                learned("tool/invoke|langgenius/ocr|detect", Class::Short, 0.11, 33),
                learned("llm/invoke|langgenius/openai|gpt-4o", Class::Long, 7.42, 3),
            ],
            choice: Some("llm/invoke|langgenius/openai (long) to node-3: least_loaded".to_owned()),
            news: [
                "* 12 long calls arrive at once",
                "* node-2 is killed in each lane",
            ]
            .map(str::to_owned)
            .into(),
        }
    }

    #[test]
    fn a_frame_with_a_node_down() {
        let text = snapshot::text((120, 22), |area, buffer| draw(area, buffer, &scene()));
        snapshot::expect("src/cli/watch/node_down.txt", &text);
    }

    #[test]
    fn every_size_can_be_drawn_and_so_can_nothing() {
        for size in [(1, 1), (20, 5), (80, 24), (400, 100)] {
            snapshot::text(size, |area, buffer| draw(area, buffer, &scene()));
            snapshot::text(size, |area, buffer| draw(area, buffer, &Scene::default()));
        }
    }
}
