//! What is in which package.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::deb::Deb;
use super::{Program, text};
use crate::run;

/// What every package of the program offers: whoever depends on it is content with any version.
const PROVIDED: &str = "sterna-program";

/// Roles that a machine has which joins an installation, and what it does then.
const ROLES: [(&str, &str); 2] =
    [("data", "holds accounts"), ("edge", "speaks mail, calendars and files with the world")];

/// All packages of this program.
pub(super) fn all(program: &Program, staging: &Path) -> Result<Vec<Deb>> {
    // Before the program is moved into its package.
    let common = common(program, staging)?;
    let mut packages = vec![version(program, staging)?, common];
    for (role, does) in ROLES {
        packages.push(of_role(role, does, &program.version, staging)?);
    }
    Ok(packages)
}

/// `sterna-X.Y.Z`: the program, and nothing that runs it.
fn version(program: &Program, staging: &Path) -> Result<Deb> {
    let (version, name) = (&program.version, format!("sterna-{}", program.version));
    let architecture = run::output("dpkg", &["--print-architecture"])?;
    let libraries = libraries(&program.path, staging)?;
    let about = format!(
        "Sterna groupware server, version {version}\n Mail, calendars, contacts and files for an organisation, on one \
         machine or on many.\n .\n Versions are installed beside each other, and installing one changes nothing that \
         runs.\n Which one runs is decided by sterna update."
    );
    let mut package = Deb::new(&name, version, architecture.trim(), staging)?
        .field("Depends", format!("{libraries}, ca-certificates"))
        .field("Provides", format!("{PROVIDED} (= {version})"));
    for (field, value) in &program.facts {
        package = package.field(field, value.to_string());
    }
    package = package.field("Sterna-Program-SHA256", &program.sha256);
    if !program.notes.is_empty() {
        package = package.field("Sterna-Notes", program.notes.join("\n "));
    }
    package.field("Description", about).script("prerm", "version.prerm", &[("VERSION", version)])?.documented()?.moved(
        &format!("usr/lib/sterna/{version}/sterna"),
        &program.path,
        0o755,
    )
}

/// `sterna`: what runs one of the versions.
fn common(program: &Program, staging: &Path) -> Result<Deb> {
    let version = &program.version;
    let package = Deb::new("sterna", version, "all", staging)?
        // A real package first: where none is installed, apt takes that one instead of any.
        .field("Depends", format!("sterna-{version} | {PROVIDED}, adduser, init-system-helpers"))
        .field("Recommends", format!("sterna-{version}, gpgv"))
        .field(
            "Description",
            "Sterna groupware server: service, user and manual\n The unit of the service, the user that it runs as, \
             manual pages, completions,\n and the command sterna, which runs the version that was decided on.",
        )
        .script("postinst", "sterna.postinst", &[])?
        .script("prerm", "sterna.prerm", &[])?
        .script("postrm", "sterna.postrm", &[])?
        .packaged("usr/bin/sterna", "launcher.sh", 0o755)?
        .packaged("usr/lib/sterna/join", "join.sh", 0o755)?
        .packaged("usr/lib/systemd/system/sterna.service", "sterna.service", 0o644)?
        .packaged("usr/lib/systemd/system/sterna-join.service", "sterna-join.service", 0o644)?
        .configuration("etc/apt/apt.conf.d/01sterna", "apt.conf")?
        .file("usr/share/doc/sterna/LICENSE", fs::read(run::root().join("LICENSE"))?, 0o644)?
        .file("usr/share/doc/sterna/CHANGELOG.md", fs::read(run::root().join("CHANGELOG.md"))?, 0o644)?
        .documented()?;
    manuals(&program.path, &package)?;
    let (completion, shells) = (
        |shell: &str| run::output(&text(&program.path), &["completion", shell]),
        [
            ("bash", "usr/share/bash-completion/completions/sterna"),
            ("zsh", "usr/share/zsh/vendor-completions/_sterna"),
            ("fish", "usr/share/fish/vendor_completions.d/sterna.fish"),
        ],
    );
    shells.into_iter().try_fold(package, |package, (shell, path)| package.file(path, completion(shell)?, 0o644))
}

/// `sterna-data`, `sterna-edge`: a machine that is to join.
fn of_role(role: &str, does: &str, version: &str, staging: &Path) -> Result<Deb> {
    let about = format!(
        "Sterna groupware server: a machine that {does}\n Makes this machine one that joins an installation with the \
         role {role}: the node starts\n once it has joined, by sterna init or by /etc/sterna/join, and never makes an \
         installation of its own."
    );
    Deb::new(&format!("sterna-{role}"), version, "all", staging)?
        .field("Depends", format!("sterna (>= {version})"))
        .field("Description", about)
        .script("postinst", "role.postinst", &[("ROLE", role)])?
        .file(&format!("usr/lib/sterna/roles.d/{role}"), "", 0o644)?
        .packaged(&format!("usr/lib/systemd/system/sterna.service.d/{role}.conf"), "role.conf", 0o644)?
        .documented()
}

/// The manual pages, made of the command line's grammar.
fn manuals(program: &Path, package: &Deb) -> Result<()> {
    let folder = package.root().join("usr/share/man/man1");
    run::program(&text(program), &["man", &text(&folder)])?;
    for page in fs::read_dir(&folder)? {
        run::output("gzip", &["-9n", &text(&page?.path())])?;
    }
    Ok(())
}

/// The libraries that the program needs, as Debian's own program finds them.
fn libraries(program: &Path, staging: &Path) -> Result<String> {
    let folder = staging.join("libraries");
    fs::create_dir_all(folder.join("debian"))?;
    fs::write(folder.join("debian/control"), "Source: sterna\n\nPackage: sterna\nArchitecture: any\n")?;
    let program = text(&fs::canonicalize(program)?);
    let found = run::output_in("dpkg-shlibdeps", &["-O", "--ignore-missing-info", &program], &folder)?;
    let found = found.lines().find_map(|line| line.strip_prefix("shlibs:Depends=")).unwrap_or("libc6");
    Ok(found.to_owned())
}
