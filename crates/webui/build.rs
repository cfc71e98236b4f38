//! Bundles `ui/` with Node and writes a table of what came out, for `src/lib.rs`.
//!
//! - Everything happens in `OUT_DIR`: the source tree stays clean, and two builds don't meet.
//! - `STERNA_UI_DIST=DIR` embeds a folder that was bundled elsewhere.
//! - Without Node, or when npm fails, a page is embedded that says what to do; `STERNA_UI=require` makes that an error.
#![allow(clippy::print_stdout)] // that is how a build script speaks

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the bundle is made of, in `ui/`.
const INPUTS: [&str; 6] = ["src", "admin.html", "build.mjs", "package.json", "package-lock.json", ".npmrc"];

/// What it needs besides, by path from the top of the repository: its catalogues, and how all pages look.
const SHARED: [&str; 5] = [
    "i18n/console.en.json",
    "i18n/console.fr.json",
    "i18n/console.de.json",
    "crates/web/assets/tokens.css",
    "crates/web/assets/base.css",
];

/// The oldest Node that the bundler runs on.
const NODE_MIN: u32 = 18;

fn main() {
    println!("cargo:rerun-if-env-changed=STERNA_UI");
    println!("cargo:rerun-if-env-changed=STERNA_UI_DIST");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let made = match env::var_os("STERNA_UI_DIST").filter(|folder| !folder.is_empty()) {
        Some(folder) => given(Path::new(&folder)),
        None => bundled(&out),
    };
    let folder = match made {
        Ok(folder) => folder,
        Err(reason) if env::var("STERNA_UI").is_ok_and(|value| value == "require") => {
            println!("cargo::error=the console can't be built: {reason}");
            return;
        }
        Err(reason) => {
            println!("cargo::warning=the console is not in this build: {reason}");
            // A file that never exists: the next build looks again.
            println!("cargo:rerun-if-changed={}", out.join("never").display());
            stub(&out, &reason).unwrap_or_else(|error| panic!("writing to {}: {error}", out.display()))
        }
    };
    table(&folder, &out).unwrap_or_else(|error| panic!("listing {}: {error}", folder.display()));
}

fn given(folder: &Path) -> Result<PathBuf, String> {
    let folder = folder.canonicalize().map_err(|error| format!("STERNA_UI_DIST, {}: {error}", folder.display()))?;
    println!("cargo:rerun-if-changed={}", folder.display());
    match folder.join("admin/index.html").exists() {
        true => Ok(folder),
        false => Err(format!("STERNA_UI_DIST, {}, has no admin/index.html", folder.display())),
    }
}

/// Copies the sources, installs what they need if that changed, and bundles.
fn bundled(out: &Path) -> Result<PathBuf, String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (from, to) = (top.join("ui"), out.join("ui"));
    for name in INPUTS {
        println!("cargo:rerun-if-changed={}", from.join(name).display());
    }
    let io = |error: io::Error| format!("copying ui/ to {}: {error}", to.display());
    for path in SHARED {
        println!("cargo:rerun-if-changed={}", top.join(path).display());
        copy(&top.join(path), &out.join(path)).map_err(io)?;
    }
    remove(&to.join("src")).map_err(io)?;
    for name in INPUTS {
        copy(&from.join(name), &to.join(name)).map_err(io)?;
    }
    node()?;
    install(&to)?;
    run("node", &["build.mjs", "--out", "../dist"], &to)?;
    Ok(out.join("dist"))
}

fn node() -> Result<(), String> {
    let missing = format!("Node.js {NODE_MIN} or later and npm are not there (apt install nodejs npm)");
    let output = Command::new("node").arg("--version").output().map_err(|_| missing.clone())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let major = text.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MIN => Ok(()),
        Some(_) => Err(format!("Node.js is {}, and {NODE_MIN} or later is needed", text.trim())),
        None => Err(missing),
    }
}

/// Installs what the lock names. Scripts of packages don't run; what is only for tests is left out.
fn install(folder: &Path) -> Result<(), String> {
    let lock = fs::read(folder.join("package-lock.json")).map_err(|error| error.to_string())?;
    let stamp = folder.join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    run("npm", &arguments, folder)?;
    fs::write(stamp, lock).map_err(|error| error.to_string())
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("{program} can't be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    for line in String::from_utf8_lossy(&output.stderr).lines().filter(|line| !line.trim().is_empty()) {
        println!("cargo::warning={line}");
    }
    Err(format!("{program} {} failed: {}", arguments.first().unwrap_or(&""), output.status))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        return fs::copy(from, to).map(|_| ());
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// The page instead of the console.
fn stub(out: &Path, reason: &str) -> io::Result<PathBuf> {
    let folder = out.join("stub");
    fs::create_dir_all(folder.join("admin"))?;
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Sterna</title>\n\
         <h1>The console is not in this build</h1>\n<p>{reason}.</p>\n\
         <p>Install Node.js {NODE_MIN} or later with npm, and build again. Everything that the console does, the \
         command line does, too: <code>sterna --help</code>.</p>\n</html>\n"
    );
    fs::write(folder.join("admin/index.html"), page)?;
    Ok(folder)
}

/// Writes the table that `src/lib.rs` includes.
fn table(folder: &Path, out: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    walk(folder, folder, &mut files)?;
    files.sort();
    let mut text = "&[\n".to_owned();
    for path in files.iter().filter(|path| !path.ends_with(".gz") && !path.ends_with(".br")) {
        let bytes = fs::read(folder.join(path))?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        let include = |path: &str| format!("include_bytes!({:?})", folder.join(path).display().to_string());
        let packed = |ending: &str| {
            let name = format!("{path}.{ending}");
            if files.contains(&name) { format!("Some({})", include(&name)) } else { "None".to_owned() }
        };
        let line = format!(
            "    File {{ path: {path:?}, etag: \"W/\\\"{:016x}\\\"\", bytes: {}, gzip: {}, brotli: {} }},",
            hasher.finish(),
            include(path),
            packed("gz"),
            packed("br"),
        );
        writeln!(text, "{line}").map_err(io::Error::other)?;
    }
    text.push(']');
    fs::write(out.join("files.rs"), text)
}

fn walk(top: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(top, &path, files)?;
        } else if let Ok(relative) = path.strip_prefix(top) {
            files.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
