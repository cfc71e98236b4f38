//! The installation of a script: nodes that do what they are told.

use std::collections::BTreeMap;

use sterna_base::{NodeId, Timestamp, Version};
use sterna_cluster::update::{Action, Direction, Inventory, NodeFacts, NodeState, Plan, Policy, Roll, next, plan};
use sterna_cluster::{InstalledVersion, NodeRole};

/// Actions of one `roll`; a script has few nodes.
const ACTIONS_MAX: usize = 30;

#[derive(Default)]
pub struct Stage {
    inventory: Inventory,
    formats: BTreeMap<Version, (u32, i64)>,
    plan: Option<Plan>,
    roll: Option<Roll>,
    now: i64,
}

fn version(text: &str) -> Version {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

impl Stage {
    /// Does what a line says; the answer.
    pub fn run(&mut self, line: &str) -> String {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (command, &words[..]) {
            ("node", [name, roles, runs]) => self.node(name, roles, version(runs)),
            ("stands-by", [name, others @ ..]) => {
                self.at(name).stands_by_for = others.iter().map(|other| (*other).to_owned()).collect();
            }
            ("formats", [of, store, directory]) => {
                self.formats.insert(version(of), (store.parse().unwrap(), directory.parse().unwrap()));
            }
            ("install", [name, versions @ ..]) => self.install(name, versions),
            ("withdraw", [of]) => self.inventory.withdrawn.push(version(of)),
            ("moves", [count]) => self.inventory.moves = count.parse().unwrap(),
            ("away", [name]) => self.at(name).state = None,
            ("serves", [name, runs]) => self.serves(name, version(runs)),
            ("fails", [name, tried]) => self.state(name).failed = Some(version(tried)),
            ("trouble", [name, ..]) => {
                let trouble = rest.split_once(' ').unwrap().1.to_owned();
                self.state(name).trouble = vec![trouble];
            }
            ("well", [name]) => self.state(name).trouble.clear(),
            ("remove", [name]) => self.inventory.nodes.retain(|node| node.name != *name),
            ("later", [seconds]) => self.now += seconds.parse::<i64>().unwrap() * 1000,
            ("plan", _) => return self.plan(rest),
            ("rollback", []) => self.roll = Some(Roll { direction: Direction::Back, asked: None }),
            ("next", []) => return self.next().0,
            ("roll", []) => return self.roll(),
            _ => panic!("what is {line:?}?"),
        }
        String::new()
    }

    fn node(&mut self, name: &str, roles: &str, runs: Version) {
        let role = |name: &str| match name {
            "main" => NodeRole::Main,
            "data" => NodeRole::Data,
            _ => NodeRole::Edge,
        };
        let mut id = [0; 16];
        id[0] = self.inventory.nodes.len() as u8 + 1;
        let runs = self.known(runs);
        let state = NodeState { runs, installed: vec![runs], failed: None, trouble: Vec::new() };
        self.inventory.nodes.push(NodeFacts {
            id: NodeId(id),
            name: name.to_owned(),
            roles: roles.split(',').map(role).collect(),
            stands_by_for: Vec::new(),
            state: Some(state),
        });
    }

    /// What there is to know of a version: its minor number is its release, as long as releases are counted so.
    fn known(&self, version: Version) -> InstalledVersion {
        let (store_format, directory_format) = self.formats.get(&version).copied().unwrap_or((1, 1));
        InstalledVersion { version, release: version.minor, store_format, directory_format }
    }

    fn at(&mut self, name: &str) -> &mut NodeFacts {
        self.inventory.nodes.iter_mut().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    fn state(&mut self, name: &str) -> &mut NodeState {
        self.at(name).state.as_mut().unwrap_or_else(|| panic!("{name} does not answer"))
    }

    fn install(&mut self, name: &str, versions: &[&str]) {
        let installed: Vec<_> = versions.iter().map(|text| self.known(version(text))).collect();
        for node in self.inventory.nodes.iter_mut().filter(|node| name == "all" || node.name == name) {
            if let Some(state) = &mut node.state {
                state.installed = installed.clone();
            }
        }
    }

    fn serves(&mut self, name: &str, runs: Version) {
        let runs = self.known(runs);
        let node = self.at(name);
        let before = node.state.take();
        let installed = before.map_or_else(|| vec![runs], |state| state.installed);
        node.state = Some(NodeState { runs, installed, failed: None, trouble: Vec::new() });
    }

    fn plan(&mut self, policy: &str) -> String {
        let policy: Policy = policy.parse().unwrap_or_else(|error| panic!("{error}"));
        let number = self.plan.as_ref().map_or(0, |plan| plan.number) + 1;
        match plan(policy, &self.inventory, number) {
            Ok(plan) => {
                let text = plan.to_string();
                // What is written down and read again is the same plan.
                let written = serde_json::to_string(&plan).unwrap();
                assert_eq!(serde_json::from_str::<Plan>(&written).unwrap(), plan);
                self.plan = Some(plan);
                self.roll = Some(Roll { direction: Direction::Forth, asked: None });
                text
            }
            Err(refused) => format!("refused: {refused}"),
        }
    }

    fn next(&mut self) -> (String, Action) {
        let (plan, roll) = (self.plan.as_ref().unwrap(), self.roll.as_mut().unwrap());
        let action = next(plan, roll, &self.inventory, Timestamp(self.now));
        let text = match &action {
            Action::Ask { node, version } => {
                roll.asked = Some((*node, Timestamp(self.now)));
                let name = self.inventory.nodes.iter().find(|known| known.id == *node).unwrap();
                format!("ask {} to run {version}", name.name)
            }
            Action::Wait { reason } => format!("wait: {reason}"),
            Action::Stop { reason } => format!("stop: {reason}"),
            Action::Done { away } if away.is_empty() => "done".to_owned(),
            Action::Done { away } => format!("done, but for {}", away.join(", ")),
        };
        (text, action)
    }

    /// All that follows when every node does at once what it is asked, and between all steps no node is more than one
    /// release from another.
    fn roll(&mut self) -> String {
        let mut answers = String::new();
        for _ in 0..ACTIONS_MAX {
            let (text, action) = self.next();
            answers.push_str(&format!("{text}\n"));
            let Action::Ask { node, version } = action else { return answers };
            let name = self.inventory.nodes.iter().find(|known| known.id == node).unwrap().name.clone();
            self.serves(&name, version);
            let runs = self.inventory.nodes.iter().filter_map(|node| Some(node.state.as_ref()?.runs.release));
            let (least, most) = runs.fold((u32::MAX, 0), |(least, most), runs| (least.min(runs), most.max(runs)));
            assert!(most - least <= 1, "a fleet of releases {least} to {most}");
        }
        panic!("it does not end: {answers}");
    }
}
