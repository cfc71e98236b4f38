//! Migrations as texts: what is seen, and what is done about it. And all of them by chance, to the end.

use super::step::{BEHIND_MAX, FAREWELL_MS, Heard, Phase, Side, Step, View, Waits, next_step};

fn view(phase: Phase) -> View {
    View {
        phase,
        main: Some(Side::Old),
        on_old: 5,
        on_new: 0,
        uncopied: 0,
        unplanned: 0,
        failed: 0,
        copies_left: 0,
        is_old_known: true,
        head: 1000,
        phase_ms: 0,
    }
}

fn heard(modseq: u64, has_files: bool) -> Heard {
    Heard { modseq: Some(modseq), has_files, waiting_mail: Some(0) }
}

#[test]
fn the_main_role_goes_before_the_accounts_and_only_to_who_has_everything() {
    let switching = view(Phase::Switching);
    assert_eq!(next_step(&switching, &Heard::default()), Step::Wait(Waits::Successor));
    let behind = BEHIND_MAX + 1;
    assert_eq!(next_step(&switching, &heard(1000 - behind, true)), Step::Wait(Waits::Directory { behind }));
    assert_eq!(next_step(&switching, &heard(1000, false)), Step::Fetch(Side::New));
    assert_eq!(next_step(&switching, &heard(1000, true)), Step::HandOver(Side::New));
    let over = View { main: Some(Side::New), unplanned: 5, ..switching };
    assert_eq!(next_step(&over, &Heard::default()), Step::Plan);
    let moving = View { unplanned: 0, on_old: 2, failed: 1, ..over };
    assert_eq!(next_step(&moving, &Heard::default()), Step::Wait(Waits::Accounts { left: 2, failed: 1 }));
    assert_eq!(next_step(&View { on_old: 0, ..moving }, &Heard::default()), Step::Enter(Phase::Switched));
}

#[test]
fn where_another_machine_is_the_main_one_only_accounts_go() {
    let switching = View { main: None, unplanned: 1, ..view(Phase::Switching) };
    assert_eq!(next_step(&switching, &Heard::default()), Step::Plan);
}

#[test]
fn on_the_way_back_accounts_go_before_the_main_role() {
    let back = View { main: Some(Side::New), on_old: 0, on_new: 5, unplanned: 5, ..view(Phase::Returning) };
    assert_eq!(next_step(&back, &heard(1000, true)), Step::Plan);
    let home = View { on_old: 5, on_new: 0, unplanned: 0, ..back };
    assert_eq!(next_step(&home, &heard(1000, false)), Step::Fetch(Side::Old));
    assert_eq!(next_step(&home, &heard(1000, true)), Step::HandOver(Side::Old));
    assert_eq!(next_step(&View { main: Some(Side::Old), ..home }, &heard(0, false)), Step::Enter(Phase::Syncing));
}

#[test]
fn a_machine_is_let_go_when_its_mail_has_left_and_it_has_heard() {
    let finishing = View { main: Some(Side::New), on_old: 0, on_new: 5, copies_left: 5, ..view(Phase::Finishing) };
    for left in [None, Some(3)] {
        let heard = Heard { waiting_mail: left, ..heard(1000, false) };
        assert_eq!(next_step(&finishing, &heard), Step::Wait(Waits::Mail { left }));
    }
    assert_eq!(next_step(&finishing, &heard(1000, false)), Step::DropCopies);
    let empty = View { copies_left: 0, ..finishing };
    assert_eq!(next_step(&empty, &heard(1000, false)), Step::Enter(Phase::Done));
    let done = View { phase: Phase::Done, ..empty };
    assert_eq!(next_step(&done, &heard(999, false)), Step::Wait(Waits::Farewell));
    assert_eq!(next_step(&done, &Heard::default()), Step::Wait(Waits::Farewell));
    assert_eq!(next_step(&View { phase_ms: FAREWELL_MS + 1, ..done }, &Heard::default()), Step::Forget);
    assert_eq!(next_step(&done, &heard(1000, false)), Step::Forget);
    assert_eq!(next_step(&View { is_old_known: false, ..done }, &Heard::default()), Step::Wait(Waits::Nothing));
}

/// Does what the steps say to a world of two machines, which lose their memory and their links by chance, and to an
/// administrator who changes their mind. At no time may there be two main nodes, or none; nothing is let go that is not
/// elsewhere; and when all are well again, it ends.
#[test]
fn it_ends_whatever_fails_on_the_way() {
    for seed in 1..400u64 {
        let mut dice = Dice(seed);
        let mut world = World { view: view(Phase::Syncing), heard: heard(900, false), uncopied: 5 };
        world.view.uncopied = 5;
        for turn in 0..400 {
            if turn < 200 {
                world.fail(&mut dice);
            } else {
                world.heard.modseq = Some(world.view.head);
                world.heard.waiting_mail = Some(0);
            }
            if turn == 20 && world.view.phase == Phase::Syncing && world.view.uncopied == 0 {
                world.view.phase = Phase::Switching;
                world.view.unplanned = world.view.on_old;
            }
            if world.view.phase == Phase::Switched && dice.roll(4) == 0 && turn < 200 {
                world.view.phase = Phase::Returning;
                world.view.unplanned = world.view.on_new;
            } else if world.view.phase == Phase::Switched && turn > 250 {
                world.view.phase = Phase::Finishing;
                world.view.copies_left = 5;
            } else if world.view.phase == Phase::Syncing && turn > 200 && world.view.uncopied == 0 {
                world.view.phase = Phase::Switching;
                world.view.unplanned = world.view.on_old;
            }
            world.act(&mut dice);
        }
        let (view, heard) = (world.view, world.heard);
        assert_eq!((view.phase, view.is_old_known, view.on_old), (Phase::Done, false, 0), "seed {seed}: {heard:?}");
        assert_eq!(view.main, Some(Side::New));
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

struct World {
    view: View,
    heard: Heard,
    uncopied: u64,
}

impl World {
    fn fail(&mut self, dice: &mut Dice) {
        match dice.roll(6) {
            0 => self.heard.modseq = None,
            1 => self.heard.has_files = false,
            2 => self.heard.waiting_mail = None,
            3 => self.heard.modseq = Some(self.view.head.saturating_sub(dice.roll(200))),
            _ => (self.heard.modseq, self.heard.waiting_mail) = (Some(self.view.head), Some(dice.roll(2))),
        }
    }

    fn act(&mut self, dice: &mut Dice) {
        let view = &mut self.view;
        match next_step(view, &self.heard) {
            Step::Follow => view.uncopied = view.uncopied.saturating_sub(1 + dice.roll(3)),
            Step::Fetch(_) => self.heard.has_files = true,
            Step::HandOver(side) => {
                assert!(self.heard.has_files, "a main node without the authority");
                assert_eq!(view.uncopied, 0);
                view.main = Some(side);
                // It is another process that goes on.
                self.heard.has_files = false;
            }
            Step::Plan => view.unplanned = 0,
            Step::Wait(Waits::Accounts { .. }) => {
                let going = if view.phase == Phase::Switching { (1, -1) } else { (-1, 1) };
                view.on_new = view.on_new.saturating_add_signed(going.0);
                view.on_old = view.on_old.saturating_add_signed(going.1);
            }
            Step::Enter(phase) => {
                if phase == Phase::Done {
                    assert_eq!((view.on_old, view.main), (0, Some(Side::New)));
                }
                (view.phase, view.phase_ms) = (phase, 0);
            }
            Step::DropCopies => view.copies_left = view.copies_left.saturating_sub(1 + dice.roll(5)),
            Step::Forget => view.is_old_known = false,
            Step::Wait(_) => view.phase_ms += 1,
        }
        view.head += 1;
        self.uncopied = view.uncopied;
    }
}
