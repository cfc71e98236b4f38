//! Plans of updates as text: a script says what there is and what happens, and the answers stand under each line. A
//! change of behaviour is a change of text. `STERNA_BLESS=1` writes the answers anew, to be looked at as a diff.

mod stage;

use std::fs;
use std::path::Path;

use stage::Stage;

/// What a line of a script begins with.
const PROMPT: &str = "> ";

#[test]
fn scripts_are_answered_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/updates/scripts");
    let mut scripts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 5, "{scripts:?}");
    let mut differ = Vec::new();
    for script in scripts {
        let text = fs::read_to_string(&script).unwrap();
        let answered = answered(&text);
        if answered == text {
            continue;
        }
        if std::env::var_os("STERNA_BLESS").is_some() {
            fs::write(&script, &answered).unwrap();
        }
        differ.push(format!("{}:\n{}", script.display(), difference(&text, &answered)));
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// The script with the answers as they are now.
fn answered(script: &str) -> String {
    let mut stage = Stage::default();
    let mut text = String::new();
    for line in script.lines() {
        if let Some(command) = line.strip_prefix(PROMPT) {
            text.push_str(&format!("{line}\n"));
            for answer in stage.run(command).lines() {
                text.push_str(format!("    {answer}").trim_end());
                text.push('\n');
            }
        } else if line.starts_with('#') {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

/// Both texts from where they part.
fn difference(expected: &str, found: &str) -> String {
    let same = expected.lines().zip(found.lines()).take_while(|(expected, found)| expected == found).count();
    let from = |text: &str, mark: &str| -> String {
        text.lines().skip(same).take(12).map(|line| format!("{mark} {line}\n")).collect()
    };
    format!("line {}\n{}{}", same + 1, from(expected, "-"), from(found, "+"))
}
