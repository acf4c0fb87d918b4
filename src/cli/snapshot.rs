//! How is a frame compared with the one that was looked at?

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::path::Path;

/// The text of a frame, without the spaces at the ends of its lines.
pub(super) fn text((width, height): (u16, u16), draw: impl FnOnce(Rect, &mut Buffer)) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(area, &mut buffer);
    let line = |y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    (0..height).map(line).collect()
}

/// Compared with a file of the source; `TWOLANE_BLESS=1` writes it anew, to be looked at.
pub(super) fn expect(file: &str, text: &str) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("TWOLANE_BLESS").is_some() {
        std::fs::write(&place, text).expect("the frame can be written");
    }
    let kept = std::fs::read_to_string(&place).unwrap_or_default();
    assert_eq!(text, kept, "the frame of {file} changed:\n{text}");
}
