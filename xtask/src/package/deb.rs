//! One package: a tree of files with a control file, made a .deb by Debian's own program.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::text;
use crate::run;

/// Who answers for the packages.
const MAINTAINER: &str = "Sterna <sterna@localhost>";

/// A package that is being put together.
pub struct Deb {
    name: String,
    version: String,
    architecture: String,
    /// Further fields of the control file, in order.
    fields: Vec<(String, String)>,
    root: PathBuf,
    configuration: Vec<String>,
}

impl Deb {
    /// An empty one.
    pub fn new(name: &str, version: &str, architecture: &str, staging: &Path) -> Result<Self> {
        let root = staging.join(name);
        fs::create_dir_all(root.join("DEBIAN"))?;
        Ok(Deb {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: architecture.to_owned(),
            fields: Vec::new(),
            root,
            configuration: Vec::new(),
        })
    }

    /// A field of the control file: `Depends`, `Description`.
    pub fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// A file with these contents; `mode` as chmod takes it.
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>, mode: u32) -> Result<Self> {
        let place = self.place(path)?;
        fs::write(&place, contents).with_context(|| place.display().to_string())?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
        Ok(self)
    }

    /// A file of the `packaging` folder.
    pub fn packaged(self, path: &str, source: &str, mode: u32) -> Result<Self> {
        let contents = read(source)?;
        self.file(path, contents, mode)
    }

    /// A file that the administrator may change; packages leave it then (conffile).
    pub fn configuration(mut self, path: &str, source: &str) -> Result<Self> {
        self.configuration.push(format!("/{path}"));
        self.packaged(path, source, 0o644)
    }

    /// A file from elsewhere, moved.
    pub fn moved(self, path: &str, source: &Path, mode: u32) -> Result<Self> {
        let place = self.place(path)?;
        fs::rename(source, &place).with_context(|| source.display().to_string())?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
        Ok(self)
    }

    /// A script that dpkg runs (`postinst`), from `packaging/debian`, with names between @ replaced.
    pub fn script(self, name: &str, source: &str, replaced: &[(&str, &str)]) -> Result<Self> {
        let mut contents = read(&format!("debian/{source}"))?;
        for (from, to) in replaced {
            contents = contents.replace(&format!("@{from}@"), to);
        }
        self.file(&format!("DEBIAN/{name}"), contents, 0o755)
    }

    /// The file with what everybody may do with the package, and where changes are.
    pub fn documented(self) -> Result<Self> {
        let folder = format!("usr/share/doc/{}", self.name);
        let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
             Upstream-Name: sterna\n\nFiles: *\nCopyright: the authors of Sterna\nLicense: AGPL-3.0-only\n \
             The text is in /usr/share/doc/sterna/LICENSE of the package sterna.\n";
        self.file(&format!("{folder}/copyright"), copyright, 0o644)
    }

    /// Where a file of the package is while it is put together.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.root.join(path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(place)
    }

    /// The tree, for programs that fill a part of it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the .deb; where it is.
    pub fn build(self, out: &Path, fast: bool) -> Result<PathBuf> {
        let files = files(&self.root, &self.root)?;
        let bytes: u64 = files.iter().filter_map(|file| Some(self.root.join(file).metadata().ok()?.len())).sum();
        let mut control = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nSection: mail\nPriority: optional\n\
             Installed-Size: {}\n",
            self.name,
            self.version,
            self.architecture,
            bytes.div_ceil(1024)
        );
        for (name, value) in &self.fields {
            control.push_str(&format!("{name}: {value}\n"));
        }
        fs::write(self.root.join("DEBIAN/control"), control)?;
        if !self.configuration.is_empty() {
            fs::write(self.root.join("DEBIAN/conffiles"), self.configuration.join("\n") + "\n")?;
        }
        self.sums(&files)?;
        let path = out.join(format!("{}_{}_{}.deb", self.name, self.version, self.architecture));
        let mut arguments = vec!["--root-owner-group"];
        // Readable by the oldest distribution that we build for, too.
        arguments.extend(if fast { ["-Zgzip", "-z1"] } else { ["-Zxz", "-z6"] });
        let (root, target) = (text(&self.root), text(&path));
        arguments.extend(["--build", &root, &target]);
        run::program("dpkg-deb", &arguments)?;
        Ok(path)
    }

    /// What `dpkg --verify` compares with.
    fn sums(&self, files: &[PathBuf]) -> Result<()> {
        let mut sums = fs::File::create(self.root.join("DEBIAN/md5sums"))?;
        for file in files {
            let sum = run::output("md5sum", &[&text(&self.root.join(file))])?;
            let sum = sum.split(' ').next().unwrap_or_default();
            writeln!(sums, "{sum}  {}", file.display())?;
        }
        Ok(())
    }
}

/// A text of the `packaging` folder.
pub fn read(source: &str) -> Result<String> {
    let path = run::root().join("packaging").join(source);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The files below a folder that are installed, relative to `root`, in order.
fn files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path == root.join("DEBIAN") {
            continue;
        }
        if path.is_dir() {
            // Whatever the umask of whoever packs.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            found.extend(files(root, &path)?);
        } else {
            found.push(path.strip_prefix(root)?.to_owned());
        }
    }
    found.sort();
    Ok(found)
}
