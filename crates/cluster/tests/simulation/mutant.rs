//! Ten classic mistakes, made on purpose in the simulated executors. The suite must find each.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Stores take commits and roles of any epoch.
    DropTheEpochCheck,
    /// A sealed store that waited long becomes active again by itself.
    UnsealByATimer,
    /// The source's store is deleted when the target is ready, before the placement is changed.
    DeleteBeforeTheCommit,
    /// The source says that it is sealed and goes on.
    SkipSealing,
    /// An aborted cut-over places the account under the epoch that the target was given.
    ReuseAnEpoch,
    /// Commits are acknowledged before they are flushed.
    AcknowledgeBeforeTheFlush,
    /// Digests are compared nowhere.
    IgnoreTheDigest,
    /// Pages carry no answers of operations.
    KeptAnswersNotCopied,
    /// An edge never looks a placement up again.
    CachePlacementsForEver,
    /// A data server answers reads from whatever store it has.
    ServeReadsForEver,
}

impl Mutant {
    pub const ALL: [Mutant; 10] = [
        Mutant::DropTheEpochCheck,
        Mutant::UnsealByATimer,
        Mutant::DeleteBeforeTheCommit,
        Mutant::SkipSealing,
        Mutant::ReuseAnEpoch,
        Mutant::AcknowledgeBeforeTheFlush,
        Mutant::IgnoreTheDigest,
        Mutant::KeptAnswersNotCopied,
        Mutant::CachePlacementsForEver,
        Mutant::ServeReadsForEver,
    ];
}
