//! How does one frame look? Nothing but what was seen goes in.

use super::seen::Seen;
use crate::cli::figures::{check, count, duration, light, rows, took, verdict, word};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, Widget};
use serde_json::Value;

const SHORT: Style = Style::new().fg(Color::Blue);
const LONG: Style = Style::new().fg(Color::Yellow);
const QUIET: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

pub(super) fn draw(area: Rect, buffer: &mut Buffer, seen: &Seen) {
    let nodes = rows(&seen.overview["nodes"]).len();
    // Many nodes must not take the whole screen.
    let most = usize::from(area.height) / 2;
    let height = u16::try_from((nodes + 2).min(most)).unwrap_or(u16::MAX);
    let areas = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(height),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .split(area);
    head(buffer, areas[0], seen);
    self::nodes(buffer, areas[1], seen);
    let sides = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]);
    let sides = sides.split(areas[2]);
    operations(buffer, sides[0], seen);
    decisions(buffer, sides[1], seen);
    foot(buffer, areas[3], seen);
}

fn head(buffer: &mut Buffer, area: Rect, seen: &Seen) {
    let (gateway, now) = (&seen.overview["gateway"], &seen.overview["now"]);
    let (well, verdict) = verdict(&seen.overview);
    let up = Value::from(count(&gateway["uptime_seconds"]) * 1000);
    let mark = if well {
        Style::new().fg(Color::Green)
    } else {
        BAD
    };
    let first = Line::from(vec![
        Span::styled("twolane ", BOLD),
        Span::styled(verdict, mark.add_modifier(Modifier::BOLD)),
        Span::styled(
            format!(
                "   {} {}   up {}   config {} ({})   redis {}",
                word(&gateway["gateway"]),
                word(&gateway["version"]),
                duration(&up),
                word(&gateway["config"]).chars().take(8).collect::<String>(),
                word(&gateway["config_version"]),
                word(&gateway["redis"]),
            ),
            QUIET,
        ),
    ]);
    let lane = |class: &str| {
        let lane = &now[class];
        let rate = seen
            .rate(class)
            .map_or("-".to_owned(), |rate| format!("{rate:.1}"));
        let running = count(&lane["in_flight"]);
        format!(
            "{class} {rate}/s   {running} in flight   p50 / p99 {}",
            took(lane)
        )
    };
    let second = Line::from(vec![
        Span::styled(lane("short"), SHORT),
        Span::raw("      "),
        Span::styled(lane("long"), LONG),
        Span::raw(format!(
            "      waiting {}   failed {}",
            count(&now["waiting"]),
            count(&now["failed"])
        )),
    ]);
    Paragraph::new(vec![first, second]).render(area, buffer);
}

fn colour(light: &str) -> Style {
    match light {
        "up" => Style::new().fg(Color::Green),
        "down" => BAD,
        "drain" => Style::new().fg(Color::Blue),
        "maint" => QUIET,
        _ => Style::new().fg(Color::Yellow),
    }
}

fn header(names: &[&'static str]) -> Row<'static> {
    Row::new(names.iter().map(|name| Cell::from(*name))).style(QUIET)
}

fn nodes(buffer: &mut Buffer, area: Rect, seen: &Seen) {
    let chosen =
        |node: &Value| seen.chosen.is_some() && node["id"].as_str() == seen.chosen.as_deref();
    let nodes = rows(&seen.overview["nodes"]);
    let room = usize::from(area.height.saturating_sub(2));
    // The chosen one stays in sight.
    let at = nodes.iter().position(chosen).unwrap_or(0);
    let from = at.saturating_sub(room.saturating_sub(1));
    let shown = nodes.iter().skip(from).map(|node| {
        let row = Row::new(vec![
            Cell::from(word(&node["id"])).style(BOLD),
            Cell::from(light(node).to_owned()).style(colour(&word(&node["light"]))),
            Cell::from(slots(node)),
            Cell::from(took(&node["took"]["short"])),
            Cell::from(took(&node["took"]["long"])),
            Cell::from(word(&node["failed_5m"])),
            Cell::from(word(&node["weight"])),
            Cell::from(check(node)),
        ]);
        if chosen(node) {
            row.style(Style::new().add_modifier(Modifier::REVERSED))
        } else {
            row
        }
    });
    let widths = [
        Constraint::Length(18),
        Constraint::Length(12),
        Constraint::Length(20),
        Constraint::Length(16),
        Constraint::Length(16),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Min(8),
    ];
    let names = [
        "node",
        "state",
        "in flight",
        "short p50 / p99",
        "long p50 / p99",
        "errors",
        "weight",
        "last check",
    ];
    let table = Table::new(shown, widths).header(header(&names));
    Widget::render(table, area, buffer);
}

/// `1+2` and a place for each, long ones first.
fn slots(node: &Value) -> Line<'static> {
    const MOST: u64 = 10;
    let flight = &node["in_flight"];
    let (short, long) = (count(&flight["short"]), count(&flight["long"]));
    let bar = |many: u64, of: char| of.to_string().repeat(many.min(MOST) as usize);
    let free = count(&node["places"]).saturating_sub(short + long);
    let room = MOST.saturating_sub(long.min(MOST) + short.min(MOST));
    Line::from(vec![
        Span::styled(format!("{short:>2}"), SHORT),
        Span::raw("+"),
        Span::styled(format!("{long:<3} "), LONG),
        Span::styled(bar(long, '█'), LONG),
        Span::styled(
            bar(short.min(MOST.saturating_sub(long.min(MOST))), '█'),
            SHORT,
        ),
        Span::styled(bar(free.min(room), '░'), QUIET),
    ])
}

fn titled(title: &'static str) -> Block<'static> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(QUIET)
        .title(Span::styled(title, BOLD))
}

fn operations(buffer: &mut Buffer, area: Rect, seen: &Seen) {
    let threshold = seen.operations["threshold_ms"].as_f64().unwrap_or(f64::MAX);
    let shown = rows(&seen.operations["operations"]).iter().map(|row| {
        let (class, style) = match (row["basis"].as_str(), row["long"] == true) {
            // What is told by its kind alone may be either.
            (Some("prior"), _) => ("-", QUIET),
            (_, true) => ("long", LONG),
            (_, false) => ("short", SHORT),
        };
        let samples = rows(&row["samples_ms"]).iter().map(|ms| {
            let long = ms.as_f64().is_some_and(|ms| ms >= threshold);
            Span::styled("●", if long { LONG } else { SHORT })
        });
        Row::new(vec![
            Cell::from(word(&row["key"])),
            Cell::from(class).style(style),
            Cell::from(word(&row["basis"])).style(QUIET),
            Cell::from(Line::from(samples.collect::<Vec<_>>())),
            Cell::from(duration(&row["p50_ms"])),
            Cell::from(duration(&row["p95_ms"])),
            Cell::from(word(&row["total"])),
        ])
    });
    let widths = [
        Constraint::Min(14),
        Constraint::Length(5),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(5),
    ];
    let names = ["operation", "class", "by", "samples", "p50", "p95", "seen"];
    let table = Table::new(shown, widths).header(header(&names));
    Widget::render(table.block(titled("learned ")), area, buffer);
}

fn decisions(buffer: &mut Buffer, area: Rect, seen: &Seen) {
    let shown = rows(&seen.decisions["decisions"]).iter().map(|row| {
        let style = if row["class"] == "long" { LONG } else { SHORT };
        let node = match row["node"].as_str() {
            Some(node) => Cell::from(node.to_owned()),
            None => Cell::from("nobody").style(BAD),
        };
        // Of `2026-11-24T10:57:25.123Z` the time.
        let at = word(&row["at"])
            .chars()
            .skip(11)
            .take(8)
            .collect::<String>();
        Row::new(vec![
            Cell::from(at).style(QUIET),
            Cell::from(word(&row["operation"])).style(style),
            node,
            Cell::from(word(&row["why"])),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Min(10),
        Constraint::Length(12),
        Constraint::Length(14),
    ];
    let names = ["time", "operation", "node", "why"];
    let table = Table::new(shown, widths).header(header(&names));
    Widget::render(table.block(titled("decided ")), area, buffer);
}

fn foot(buffer: &mut Buffer, area: Rect, seen: &Seen) {
    let line = match (&seen.asking, &seen.said) {
        (Some((node, hand)), _) => Line::styled(
            format!("{hand} {node}? y to do it, any other key not to"),
            BAD,
        ),
        (None, Some(said)) => Line::styled(said.replace('\n', " "), BAD),
        (None, None) => Line::styled(
            "q quit   up, down choose a node   d drain it   r send it requests again",
            QUIET,
        ),
    };
    line.render(area, buffer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::snapshot;
    use ratatui::crossterm::event::KeyCode;
    use serde_json::json;

    fn seen() -> Seen {
        let look = |text: &str| serde_json::from_str::<Value>(text).expect("the file is JSON");
        let all = look(include_str!("seen.json"));
        let mut before = all["overview"].clone();
        before["now"]["at_ms"] = json!(count(&before["now"]["at_ms"]) - 2000);
        before["now"]["short"]["ended"] = json!(count(&before["now"]["short"]["ended"]) - 13);
        let first = Seen::default().after(before, Value::Null, Value::Null);
        first.after(
            all["overview"].clone(),
            all["operations"].clone(),
            all["decisions"].clone(),
        )
    }

    fn text(seen: &Seen, size: (u16, u16)) -> String {
        snapshot::text(size, |area, buffer| draw(area, buffer, seen))
    }

    fn expect(name: &str, text: &str) {
        snapshot::expect(&format!("src/cli/top/{name}"), text);
    }

    #[test]
    fn f084_a_frame_at_work_with_a_node_down() {
        expect("at_work.txt", &text(&seen(), (130, 24)));
    }

    #[test]
    fn a_frame_that_asks_before_it_drains() {
        let mut seen = seen();
        seen.press(KeyCode::Down);
        seen.press(KeyCode::Char('d'));
        expect("asking.txt", &text(&seen, (100, 16)));
    }

    #[test]
    fn every_size_can_be_drawn_and_so_can_nothing() {
        for size in [(1, 1), (20, 5), (80, 24), (400, 100)] {
            let _drawn = text(&seen(), size);
            let _drawn = text(&Seen::default(), size);
        }
    }

    #[test]
    fn the_chosen_node_stays_in_sight_among_two_hundred() {
        let mut seen = seen();
        let node = seen.overview["nodes"][0].clone();
        let many = (0..200).map(|n| {
            let mut node = node.clone();
            node["id"] = format!("n{n}").into();
            node
        });
        seen.overview["nodes"] = many.collect();
        seen.chosen = Some("n150".to_owned());
        let text = text(&seen, (100, 30));
        assert!(text.contains("n150") && text.contains("learned"), "{text}");
    }
}
