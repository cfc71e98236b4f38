//! Fields of forms, each with its label, its hint and what is wrong with it.

use maud::{Markup, PreEscaped, html};

use super::{Cx, Trouble};
use crate::i18n::text;

/// A field of one line.
pub struct Field<'a> {
    /// Its name, which is its id, too.
    pub name: &'static str,
    /// Its label.
    pub label: &'a str,
    /// What is in it.
    pub value: &'a str,
    /// "text", "password", "url" and the like.
    pub kind: &'static str,
    /// What the browser may fill in (HTML standard, section 4.10.18.7).
    pub autocomplete: &'static str,
    /// What helps.
    pub hint: Option<&'a str>,
    /// What stands behind it.
    pub suffix: Option<&'a str>,
    /// Whether it may be empty.
    pub is_required: bool,
}

impl Default for Field<'_> {
    fn default() -> Self {
        Field {
            name: "",
            label: "",
            value: "",
            kind: "text",
            autocomplete: "off",
            hint: None,
            suffix: None,
            is_required: false,
        }
    }
}

impl Field<'_> {
    /// As it stands in a form.
    pub fn show(&self, trouble: &Trouble) -> Markup {
        let wrong = trouble.mistakes.of(self.name);
        let described: Vec<String> = [(self.hint.is_some(), "hint"), (wrong.is_some(), "error")]
            .into_iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, what)| format!("{}-{what}", self.name))
            .collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        let input = html! {
            input id=(self.name) name=(self.name) type=(self.kind) value=(self.value) autocomplete=(self.autocomplete)
                autocapitalize="none" spellcheck="false" required[self.is_required]
                aria-invalid=[wrong.map(|_| "true")] aria-describedby=[described];
        };
        html! {
            div class="field" {
                label for=(self.name) { (self.label) }
                @if let Some(suffix) = self.suffix { div class="joined" { (input) span { (suffix) } } }
                @else { (input) }
                @if let Some(hint) = self.hint { p class="hint" id=(format!("{}-hint", self.name)) { (hint) } }
                @if let Some(wrong) = wrong { p class="error" id=(format!("{}-error", self.name)) { (wrong) } }
            }
        }
    }
}

/// A form of a page that goes to itself, with its fields and its buttons.
pub fn form(cx: &Cx<'_>, fields: &Markup, more: Option<&Markup>) -> Markup {
    html! {
        form method="post" action=(cx.step.path()) class="card" {
            (cx.token())
            (fields)
            div class="actions" {
                button class="primary" type="submit" { (text::setup_next(cx.lang)) }
                @if let Some(more) = more { (more) }
            }
        }
    }
}

/// A form that is but a button.
pub fn button(cx: &Cx<'_>, action: &str, label: &str, is_primary: bool) -> Markup {
    html! {
        form method="post" action=(cx.step.path()) class="inline" {
            (cx.token())
            button type="submit" name="action" value=(action) class=(if is_primary { "primary" } else { "" }) { (label) }
        }
    }
}

/// A value with a button that copies it; one click selects it without JavaScript.
pub fn copied(cx: &Cx<'_>, value: &str) -> Markup {
    html! {
        code class="copied" { (value) } (PreEscaped(" "))
        button type="button" data-copy=(value) data-copied=(text::setup_copied(cx.lang)) { (text::setup_copy(cx.lang)) }
    }
}

/// Bytes as people read them, in powers of 1024.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..UNITS.len() - 1).find(|unit| number >> (10 * (unit + 1)) == 0).unwrap_or(UNITS.len() - 1);
    let tenths = (u128::from(number) * 10) >> (10 * unit);
    if unit == 0 { format!("{number} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(
            [0, 1023, 1024, 1536, 5 << 30, u64::MAX].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB", "16777215.9 TiB"]
        );
    }
}
