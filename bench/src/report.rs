//! What was measured, and how Sterna compares.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Results by work and server.
pub struct Report {
    /// The servers and what they are called, ours first.
    columns: Vec<(&'static str, &'static str)>,
    order: Vec<String>,
    results: BTreeMap<(String, String), Figures>,
}

struct Figures {
    unit: Unit,
    rounds: Vec<f64>,
}

/// What a figure counts, and so which way is better.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    /// Larger is better.
    PerSecond,
    /// Smaller is better.
    Milliseconds,
    /// Smaller is better.
    KibPerSession,
    /// Smaller is better.
    Kib,
}

impl Default for Report {
    fn default() -> Self {
        Report::of(&[
            ("sterna", "sterna"),
            ("sterna-two", "sterna, two nodes"),
            ("dovecot", "dovecot"),
            ("cyrus", "cyrus"),
        ])
    }
}

impl Report {
    /// An empty one for these servers, with what they are called, ours first.
    pub fn of(columns: &[(&'static str, &'static str)]) -> Self {
        Report { columns: columns.to_vec(), order: Vec::new(), results: BTreeMap::new() }
    }

    /// Takes the figures of all rounds of one work on one server.
    pub fn add(&mut self, work: &str, server: &str, unit: Unit, rounds: Vec<f64>) {
        if !self.order.iter().any(|known| known == work) {
            self.order.push(work.to_owned());
        }
        crate::eprint_progress(&format!("{server}: {work}: {}", format_median(&rounds, unit)));
        self.results.insert((work.to_owned(), server.to_owned()), Figures { unit, rounds });
    }

    /// The table.
    pub fn print(&self) {
        let titles: String = self.columns.iter().map(|(_, title)| format!(" {title:>22}")).collect();
        println!("\n{:<44}{titles}  Sterna : better peer", "work (median, lowest-highest)");
        for work in &self.order {
            let cell =
                |server: &str| self.figures(work, server).map_or("-".to_owned(), |f| format_median(&f.rounds, f.unit));
            let ratio = self.ratio(work).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            let cells: String = self.columns.iter().map(|(server, _)| format!(" {:>22}", cell(server))).collect();
            println!("{work:<44}{cells}  {ratio:>6}");
        }
        println!("\nA ratio above 1 means that Sterna is better.");
    }

    fn figures(&self, work: &str, server: &str) -> Option<&Figures> {
        self.results.get(&(work.to_owned(), server.to_owned()))
    }

    fn ratio(&self, work: &str) -> Option<f64> {
        let sterna = self.figures(work, "sterna")?;
        let own = median(&sterna.rounds);
        let peers = self.columns.iter().filter(|(server, _)| !server.starts_with("sterna"));
        let peers = peers.filter_map(|(peer, _)| Some(median(&self.figures(work, peer)?.rounds)));
        match sterna.unit {
            Unit::PerSecond => peers.reduce(f64::max).map(|best| own / best),
            Unit::Milliseconds | Unit::KibPerSession | Unit::Kib => peers.reduce(f64::min).map(|best| best / own),
        }
    }
}

fn format_median(rounds: &[f64], unit: Unit) -> String {
    let (low, high) = rounds.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    let unit = match unit {
        Unit::PerSecond => "/s",
        Unit::Milliseconds => "ms",
        Unit::KibPerSession | Unit::Kib => "KiB",
    };
    let digits = usize::from(median(rounds) < 20.0);
    format!("{:.digits$}{unit} ({low:.digits$}-{high:.digits$})", median(rounds))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The machine the figures are from.
pub fn print_machine(folder: &Path) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("cores: {cores}");
    println!("disk:  {}", first_line("df", &["--output=source,fstype,avail", &folder.to_string_lossy()], 1));
    println!("kernel: {}", first_line("uname", &["-r"], 0));
    println!("dovecot: {}", first_line("dpkg-query", &["-W", "dovecot-core"], 0));
}

fn first_line(program: &str, arguments: &[&str], skip: usize) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().nth(skip).unwrap_or("?").trim().to_owned()
}
