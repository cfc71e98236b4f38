//! A link as a picture that a telephone reads (ISO/IEC 18004), for terminals and for pages.

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// Bright modules around the code, which readers need.
const QUIET: usize = 2;

/// For a terminal: two rows of modules in one row of characters, bright on dark, so that it is read on terminals with a
/// dark ground as well as with a bright one if they show colours at all. `None` when the text is too long for a code.
pub fn terminal(text: &str) -> Option<String> {
    let (modules, width) = modules(text)?;
    let is_dark = |x: usize, y: usize| modules.get(y * width + x).copied().unwrap_or(false);
    let mut picture = String::new();
    for row in (0..width).step_by(2) {
        for x in 0..width {
            let (upper, lower) = (is_dark(x, row), row + 1 < width && is_dark(x, row + 1));
            picture.push(match (upper, lower) {
                (true, true) => ' ',
                (true, false) => '▄',
                (false, true) => '▀',
                (false, false) => '█',
            });
        }
        picture.push('\n');
    }
    Some(picture)
}

/// For a page: an SVG of one path. `None` as above.
pub(crate) fn svg(text: &str, label: &str) -> Option<Markup> {
    let (path, width) = path(text)?;
    Some(html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {width}")) width="220" height="220"
            role="img" aria-label=(label) shape-rendering="crispEdges" {
            rect width="100%" height="100%" fill="#ffffff" {}
            path d=(path) fill="#000000" {}
        }
    })
}

/// What is dark of it as the path of an SVG, and how many modules it is wide and high. `None` as above.
pub fn path(text: &str) -> Option<(String, usize)> {
    let (modules, width) = modules(text)?;
    let dark = modules.iter().enumerate().filter(|(_, dark)| **dark).map(|(at, _)| (at % width, at / width));
    Some((dark.map(|(x, y)| format!("M{x} {y}h1v1h-1z")).collect(), width))
}

/// Whether each module is dark, row by row with the quiet zone, and how many a row has.
fn modules(text: &str) -> Option<(Vec<bool>, usize)> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (inner, width) = (code.width(), code.width() + 2 * QUIET);
    let mut modules = vec![false; width * width];
    for (at, color) in code.to_colors().into_iter().enumerate() {
        modules[(at / inner + QUIET) * width + at % inner + QUIET] = color == Color::Dark;
    }
    Some((modules, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_a_picture_with_its_three_corners() {
        let picture = terminal("https://mail1.tern.test/setup#ABCD-EFGH-JKMN-PQRS").unwrap();
        let rows: Vec<Vec<char>> = picture.lines().map(|row| row.chars().collect()).collect();
        let width = rows[0].len();
        assert!(rows.iter().all(|row| row.len() == width) && rows.len() == width.div_ceil(2), "{picture}");
        // The quiet zone above, then seven dark modules in a row: the edge of a finder pattern.
        assert!(rows[0].iter().all(|module| *module == '█'), "{picture}");
        let corner = |from: usize| rows[1][from..from + 7].iter().collect::<String>();
        assert_eq!((corner(2), corner(width - 9)), (" ▄▄▄▄▄ ".to_owned(), " ▄▄▄▄▄ ".to_owned()), "{picture}");
        assert_eq!(terminal(&"x".repeat(5000)), None);
    }
}
