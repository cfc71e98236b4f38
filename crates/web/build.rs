//! Makes a function of every text of the pages: `setup.place.title` becomes `setup_place_title(lang)`, and what stands
//! in braces becomes a parameter. A text that a language lacks, or in which other things stand in braces than in
//! English, ends the build and is named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

/// The languages; English is what the others are held to.
const LANGUAGES: [&str; 3] = ["en", "fr", "de"];

/// What the pages of this crate say; the rest of the catalogue is the console's.
const PREFIXES: [&str; 2] = ["setup.", "web."];

type Catalogue = BTreeMap<String, String>;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is")).join("../../i18n");
    let catalogues = LANGUAGES.map(|language| read(&root.join(format!("{language}.json"))));
    let mut findings = Vec::new();
    for (language, catalogue) in LANGUAGES.iter().zip(&catalogues) {
        compare(language, &catalogues[0], catalogue, &mut findings);
    }
    assert!(findings.is_empty(), "\n  {}\n", findings.join("\n  "));
    let mut code = String::new();
    for key in catalogues[0].keys().filter(|key| PREFIXES.iter().any(|prefix| key.starts_with(prefix))) {
        write_function(&mut code, key, &catalogues);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to write")).join("texts.rs");
    fs::write(out, code).expect("the build folder can be written");
}

fn read(path: &Path) -> Catalogue {
    println!("cargo:rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let texts = value.as_object().unwrap_or_else(|| panic!("{}: not one object", path.display())).iter();
    texts
        .map(|(key, text)| match text {
            Value::String(text) if !text.trim().is_empty() => (key.clone(), text.clone()),
            other => panic!("{}: {key} is {other}, not a text", path.display()),
        })
        .collect()
}

fn compare(language: &str, english: &Catalogue, other: &Catalogue, findings: &mut Vec<String>) {
    for (key, text) in english {
        match other.get(key) {
            None => findings.push(format!("i18n/{language}.json has no {key}")),
            Some(translated) if sorted(names(translated)) != sorted(names(text)) => {
                let (found, wanted) = (names(translated), names(text));
                findings.push(format!("i18n/{language}.json, {key}: has {found:?} in braces, not {wanted:?}"));
            }
            Some(_) => {}
        }
    }
    let unknown = other.keys().filter(|key| !english.contains_key(*key));
    findings.extend(unknown.map(|key| format!("i18n/{language}.json has {key}, which English lacks")));
}

/// What stands in braces, each once, in the order of the text.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_owned())) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn write_function(code: &mut String, key: &str, catalogues: &[Catalogue; 3]) {
    let name = key.replace(['.', '-'], "_");
    let names = names(&catalogues[0][key]);
    let parameters: String = names.iter().map(|name| format!(", {name}: impl std::fmt::Display")).collect();
    let result = if names.is_empty() { "&'static str" } else { "String" };
    let _ = writeln!(code, "/// `{key}`");
    let _ = writeln!(code, "pub(crate) fn {name}(lang: Lang{parameters}) -> {result} {{\n    match lang {{");
    for (variant, catalogue) in ["En", "Fr", "De"].iter().zip(catalogues) {
        let text = &catalogue[key];
        let text = if names.is_empty() { format!("{text:?}") } else { format!("format!({text:?})") };
        let _ = writeln!(code, "        Lang::{variant} => {text},");
    }
    code.push_str("    }\n}\n");
}
