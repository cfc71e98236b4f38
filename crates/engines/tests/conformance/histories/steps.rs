//! What may happen in a history. Numbers are choices: they are applied to what the account holds at that moment, so
//! that a history that is made shorter still makes sense.

use proptest::prelude::*;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Commits that share a flush; the flag gives them an epoch that is over.
    Commits(Vec<Vec<Act>>, bool),
    /// An earlier commit comes again.
    Repeat(u8),
    /// Time passes.
    WaitHours(u8),
    /// What was expunged so many hours ago is purged, at most so many rows.
    Purge(u8, usize),
    /// The store is closed and opened.
    Reopen,
    /// Sealed, tried, and active again under the next epoch.
    Seal,
}

/// Choices for one mutation.
#[derive(Clone, Debug)]
pub enum Act {
    Create { parent: Option<u8>, name: u8, calendar: bool, special_use: Option<u8> },
    About,
    Rename { container: u8, parent: Option<u8>, name: u8 },
    Delete { container: u8 },
    Numbers { container: u8, uid_validity: u8, uid_next: u8, modseq_min: u8 },
    AppendAt { container: u8, what: What, ahead: u8 },
    Append { container: u8, what: What, name: Option<u8> },
    Put { container: u8, what: What, name: Option<u8>, expect: u8 },
    Remove { container: u8, name: u8 },
    Copy { from: u8, uids: (u8, u8), to: u8, expunge: bool },
    Flag { container: u8, uids: (u8, u8), action: u8, flags: u8, since: Option<u8> },
    Expunge { container: u8, uids: (u8, u8), deleted_only: bool },
    Acl { container: u8, who: u8, negative: bool, rights: u8 },
    Quota { bytes: Option<u8>, items: Option<u8> },
}

/// An item's content and flags.
#[derive(Clone, Debug)]
pub struct What {
    pub origin: Origin,
    pub summary: bool,
    pub flags: u8,
}

/// Where a content comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// One of a few, so that items share blobs.
    Inline(u8),
    /// One of a few, staged just before.
    Staged(u8),
    /// The blob of an item that was there before the step.
    Held(u8),
    /// A blob that never was.
    Absent,
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let commits = prop::collection::vec(prop::collection::vec(any_act(), 1..4), 1..4);
    prop_oneof![
        16 => (commits, prop::bool::weighted(0.03)).prop_map(|(commits, stale)| Step::Commits(commits, stale)),
        2 => any::<u8>().prop_map(Step::Repeat),
        2 => any::<u8>().prop_map(Step::WaitHours),
        3 => (0..100_u8, prop_oneof![1..5_usize, Just(500)]).prop_map(|(hours, limit)| Step::Purge(hours, limit)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Seal),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let uids = || any::<(u8, u8)>();
    let maybe = prop::option::weighted::<std::ops::Range<u8>>;
    let (name, container) = (0..4_u8, any::<u8>());
    prop_oneof![
        3 => (prop::option::of(any::<u8>()), 0..8_u8, any::<bool>(), maybe(0.1, 0..3)).prop_map(
            |(parent, name, calendar, special_use)| Act::Create { parent, name, calendar, special_use }),
        1 => Just(Act::About),
        2 => (any::<u8>(), prop::option::of(any::<u8>()), 0..8_u8)
            .prop_map(|(container, parent, name)| Act::Rename { container, parent, name }),
        2 => container.prop_map(|container| Act::Delete { container }),
        2 => (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()).prop_map(
            |(container, uid_validity, uid_next, modseq_min)|
            Act::Numbers { container, uid_validity, uid_next, modseq_min }),
        2 => (any::<u8>(), any_content(), any::<u8>())
            .prop_map(|(container, what, ahead)| Act::AppendAt { container, what, ahead }),
        8 => (any::<u8>(), any_content(), maybe(0.2, 0..4))
            .prop_map(|(container, what, name)| Act::Append { container, what, name }),
        3 => (any::<u8>(), any_content(), maybe(0.95, 0..4), 0..4_u8)
            .prop_map(|(container, what, name, expect)| Act::Put { container, what, name, expect }),
        1 => (any::<u8>(), name).prop_map(|(container, name)| Act::Remove { container, name }),
        4 => (any::<u8>(), uids(), any::<u8>(), any::<bool>())
            .prop_map(|(from, uids, to, expunge)| Act::Copy { from, uids, to, expunge }),
        4 => (any::<u8>(), uids(), 0..3_u8, any::<u8>(), prop::option::weighted(0.2, any::<u8>())).prop_map(
            |(container, uids, action, flags, since)| Act::Flag { container, uids, action, flags, since }),
        3 => (any::<u8>(), uids(), any::<bool>())
            .prop_map(|(container, uids, deleted_only)| Act::Expunge { container, uids, deleted_only }),
        1 => (any::<u8>(), 0..3_u8, any::<bool>(), 0..4_u8)
            .prop_map(|(container, who, negative, rights)| Act::Acl { container, who, negative, rights }),
        1 => (maybe(0.5, 0..100), maybe(0.5, 0..40)).prop_map(|(bytes, items)| Act::Quota { bytes, items }),
    ]
}

fn any_content() -> impl Strategy<Value = What> {
    let origin = prop_oneof![
        12 => (0..6_u8).prop_map(Origin::Inline),
        2 => (0..3_u8).prop_map(Origin::Staged),
        2 => any::<u8>().prop_map(Origin::Held),
        1 => Just(Origin::Absent),
    ];
    (origin, any::<bool>(), any::<u8>()).prop_map(|(origin, summary, flags)| What { origin, summary, flags })
}
