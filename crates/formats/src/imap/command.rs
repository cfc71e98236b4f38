//! Commands as types.

use std::fmt;
use std::ops::Deref;

use super::SequenceSet;
use super::date::Date;
use super::notify::Notify;

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its tag.
    pub tag: String,
    /// What it asks.
    pub body: Body,
}

/// What a command asks. Names of mailboxes are UTF-8.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields have the names of the RFC's arguments
pub enum Body {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// STARTTLS
    Starttls,
    /// AUTHENTICATE with its initial response (RFC 4959), still base64
    Authenticate { mechanism: String, initial: Option<Credential> },
    /// LOGIN
    Login { user: Vec<u8>, password: Credential },
    /// ENABLE
    Enable(Vec<String>),
    /// ID (RFC 2971)
    Id(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    /// SELECT or EXAMINE
    Select { mailbox: String, read_only: bool, condstore: bool, qresync: Option<Qresync> },
    /// CREATE, with the uses of RFC 6154
    Create { mailbox: String, special_use: Vec<String> },
    /// DELETE
    Delete(String),
    /// RENAME
    Rename { from: String, to: String },
    /// SUBSCRIBE
    Subscribe(String),
    /// UNSUBSCRIBE
    Unsubscribe(String),
    /// LIST
    List(List),
    /// LSUB
    Lsub { reference: String, pattern: String },
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// COMPRESS (RFC 4978)
    Compress(String),
    /// NAMESPACE
    Namespace,
    /// STATUS
    Status { mailbox: String, items: Vec<StatusItem> },
    /// SETACL (RFC 4314)
    SetAcl { mailbox: String, identifier: String, rights: String },
    /// DELETEACL
    DeleteAcl { mailbox: String, identifier: String },
    /// GETACL
    GetAcl(String),
    /// LISTRIGHTS
    ListRights { mailbox: String, identifier: String },
    /// MYRIGHTS
    MyRights(String),
    /// GETMETADATA (RFC 5464); an empty mailbox is the server
    GetMetadata { mailbox: String, max_size: Option<u64>, depth: MetadataDepth, entries: Vec<String> },
    /// SETMETADATA; `None` removes an entry
    SetMetadata { mailbox: String, entries: Vec<(String, Option<Vec<u8>>)> },
    /// GETQUOTA (RFC 9208)
    GetQuota(String),
    /// GETQUOTAROOT
    GetQuotaRoot(String),
    /// SETQUOTA, whatever its arguments
    SetQuota,
    /// ESEARCH (RFC 7377); it may be used without a mailbox that is selected
    Esearch { sources: Vec<SearchSource>, search: Search },
    /// NOTIFY (RFC 5465)
    Notify(Notify),
    /// IDLE
    Idle,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT
    Unselect,
    /// EXPUNGE
    Expunge,
    /// UID EXPUNGE
    UidExpunge(SequenceSet),
    /// CANCELUPDATE (RFC 5267): these tags
    CancelUpdate(Vec<String>),
    /// SEARCH
    Search(Search),
    /// SORT
    Sort(Sort),
    /// THREAD
    Thread(Thread),
    /// FETCH
    Fetch(Fetch),
    /// STORE
    Store(Store),
    /// COPY or MOVE
    Copy { set: SequenceSet, mailbox: String, uid: bool, expunge: bool },
}

impl Body {
    /// The command's name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Body::Capability => "CAPABILITY",
            Body::Noop => "NOOP",
            Body::Logout => "LOGOUT",
            Body::Starttls => "STARTTLS",
            Body::Authenticate { .. } => "AUTHENTICATE",
            Body::Login { .. } => "LOGIN",
            Body::Enable(_) => "ENABLE",
            Body::Id(_) => "ID",
            Body::Select { read_only: false, .. } => "SELECT",
            Body::Select { read_only: true, .. } => "EXAMINE",
            Body::Create { .. } => "CREATE",
            Body::Delete(_) => "DELETE",
            Body::Rename { .. } => "RENAME",
            Body::Subscribe(_) => "SUBSCRIBE",
            Body::Unsubscribe(_) => "UNSUBSCRIBE",
            Body::List(_) => "LIST",
            Body::Lsub { .. } => "LSUB",
            Body::Unauthenticate => "UNAUTHENTICATE",
            Body::Compress(_) => "COMPRESS",
            Body::Namespace => "NAMESPACE",
            Body::Status { .. } => "STATUS",
            Body::SetAcl { .. } => "SETACL",
            Body::DeleteAcl { .. } => "DELETEACL",
            Body::GetAcl(_) => "GETACL",
            Body::ListRights { .. } => "LISTRIGHTS",
            Body::MyRights(_) => "MYRIGHTS",
            Body::GetMetadata { .. } => "GETMETADATA",
            Body::SetMetadata { .. } => "SETMETADATA",
            Body::GetQuota(_) => "GETQUOTA",
            Body::GetQuotaRoot(_) => "GETQUOTAROOT",
            Body::SetQuota => "SETQUOTA",
            Body::Esearch { .. } => "ESEARCH",
            Body::Notify(_) => "NOTIFY",
            Body::Idle => "IDLE",
            Body::Check => "CHECK",
            Body::Close => "CLOSE",
            Body::Unselect => "UNSELECT",
            Body::Expunge => "EXPUNGE",
            Body::UidExpunge(_) => "UID EXPUNGE",
            Body::CancelUpdate(_) => "CANCELUPDATE",
            Body::Search(_) => "SEARCH",
            Body::Sort(_) => "SORT",
            Body::Thread(_) => "THREAD",
            Body::Fetch(_) => "FETCH",
            Body::Store(_) => "STORE",
            Body::Copy { expunge: false, .. } => "COPY",
            Body::Copy { expunge: true, .. } => "MOVE",
        }
    }
}

/// A password, or what stands for one, as it came; prints as redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(pub Vec<u8>);

impl Deref for Credential {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

/// LIST with RFC 5258, 5819, 6154, 8440 and 9590.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// SUBSCRIBED as a selection
    pub select_subscribed: bool,
    /// RECURSIVEMATCH
    pub recursive_match: bool,
    /// SPECIAL-USE as a selection
    pub select_special_use: bool,
    /// The reference name.
    pub reference: String,
    /// The patterns.
    pub patterns: Vec<String>,
    /// Whether it was written in the extended form, which answers differently.
    pub extended: bool,
    /// RETURN (SUBSCRIBED)
    pub return_subscribed: bool,
    /// RETURN (CHILDREN)
    pub return_children: bool,
    /// RETURN (SPECIAL-USE)
    pub return_special_use: bool,
    /// RETURN (MYRIGHTS) (RFC 8440)
    pub return_my_rights: bool,
    /// RETURN (STATUS (..))
    pub return_status: Vec<StatusItem>,
    /// RETURN (METADATA (..)) (RFC 9590)
    pub return_metadata: Vec<String>,
}

/// DEPTH of GETMETADATA (RFC 5464 section 4.2.2)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataDepth {
    /// 0: the entry itself
    #[default]
    Zero,
    /// 1: and those right below it
    One,
    /// infinity: and all below it
    Infinity,
}

/// `status-att`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// RECENT
    Recent,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// DELETED
    Deleted,
    /// SIZE
    Size,
    /// HIGHESTMODSEQ
    HighestModseq,
    /// DELETED-STORAGE (RFC 9208)
    DeletedStorage,
    /// MAILBOXID (RFC 8474)
    MailboxId,
}

/// SEARCH
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// UID SEARCH
    pub uid: bool,
    /// Which results; `None` without RETURN.
    pub returns: Option<SearchReturn>,
    /// UPDATE (..): what to fetch of new messages that are found (RFC 5465 section 7).
    pub update_items: Vec<FetchItem>,
    /// Whether a CHARSET was given at all, which UTF8=ACCEPT forbids (RFC 6855 section 3).
    pub has_charset: bool,
    /// A CHARSET that is neither UTF-8 nor US-ASCII: answer `NO [BADCHARSET (UTF-8)]`; there are no keys then.
    pub unknown_charset: bool,
    /// The keys, all of which must match.
    pub keys: Vec<SearchKey>,
}

/// `filter-mailboxes` (RFC 5465 section 8, RFC 7377 section 4): which mailboxes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchSource {
    /// selected
    Selected,
    /// inboxes: to which mail is delivered
    Inboxes,
    /// personal: the user's own
    Personal,
    /// subscribed
    Subscribed,
    /// subtree: these and all below them
    Subtree(Vec<String>),
    /// subtree-one: these and those right below them
    SubtreeOne(Vec<String>),
    /// mailboxes
    Mailboxes(Vec<String>),
}

/// RETURN (..) of RFC 4731 and 5182; RETURN () is ALL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// MIN
    pub min: bool,
    /// MAX
    pub max: bool,
    /// ALL
    pub all: bool,
    /// COUNT
    pub count: bool,
    /// SAVE
    pub save: bool,
    /// PARTIAL
    pub partial: Option<PartialRange>,
    /// UPDATE: the result is kept up to date (RFC 5267); CONTEXT is a hint that needs no help here
    pub update: bool,
    /// CONTEXT
    pub context: bool,
    /// RELEVANCY (RFC 6203)
    pub relevancy: bool,
}

/// `partial-range` of RFC 9394: positions in a result, from one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// The nearer one.
    pub low: u32,
    /// The farther one.
    pub high: u32,
    /// Counted from the end, written with minus.
    pub from_end: bool,
    /// Written with the farther one first.
    pub reversed: bool,
}

impl fmt::Display for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        let (first, second) = if self.reversed { (self.high, self.low) } else { (self.low, self.high) };
        write!(f, "{sign}{first}:{sign}{second}")
    }
}

/// SORT (RFC 5256)
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// What goes first.
    pub criteria: Vec<SortCriterion>,
    /// Of which messages.
    pub search: Search,
}

/// `sort-criterion`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SortCriterion {
    /// REVERSE
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// `sort-key`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// ARRIVAL: the internal date
    Arrival,
    /// CC: the mailbox of its first address
    Cc,
    /// DATE: the sent date
    Date,
    /// DISPLAYFROM: the name of its first address (RFC 5957)
    DisplayFrom,
    /// DISPLAYTO
    DisplayTo,
    /// FROM: the mailbox of its first address
    From,
    /// RELEVANCY: the best first (RFC 6203)
    Relevancy,
    /// SIZE
    Size,
    /// SUBJECT: the base subject
    Subject,
    /// TO: the mailbox of its first address
    To,
}

/// THREAD (RFC 5256)
#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    /// How.
    pub algorithm: ThreadAlgorithm,
    /// Of which messages.
    pub search: Search,
}

/// `thread-alg`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadAlgorithm {
    /// ORDEREDSUBJECT
    OrderedSubject,
    /// REFERENCES
    References,
}

/// `search-key`
#[derive(Clone, Debug, PartialEq)]
pub enum SearchKey {
    /// ALL
    All,
    /// A system flag of this name, set or not
    Flag(&'static str, bool),
    /// KEYWORD, UNKEYWORD
    Keyword(String, bool),
    /// RECENT, OLD
    Recent(bool),
    /// NEW
    New,
    /// BCC, CC, FROM, SUBJECT, TO, HEADER
    #[allow(missing_docs)] // the arguments of HEADER
    Header { name: Vec<u8>, text: String },
    /// BODY
    Body(String),
    /// TEXT
    Text(String),
    /// BEFORE, ON, SINCE: by the internal date
    Internal(DateTest, Date),
    /// SAVEDBEFORE, SAVEDON, SAVEDSINCE: by when it came into the mailbox (RFC 8514)
    Saved(DateTest, Date),
    /// EMAILID (RFC 8474)
    EmailId(String),
    /// THREADID, which nothing has here
    ThreadId,
    /// SENTBEFORE, SENTON, SENTSINCE: by the Date field
    Sent(DateTest, Date),
    /// OLDER, YOUNGER: seconds before now (RFC 5032)
    #[allow(missing_docs)] // said above
    Within { older: bool, seconds: u32 },
    /// LARGER
    Larger(u64),
    /// SMALLER
    Smaller(u64),
    /// UID
    Uid(SequenceSet),
    /// A sequence set
    Sequence(SequenceSet),
    /// MODSEQ (RFC 7162)
    Modseq(u64),
    /// FUZZY (RFC 6203): the key, with similar texts
    Fuzzy(Box<SearchKey>),
    /// NOT
    Not(Box<SearchKey>),
    /// OR
    Or(Box<(SearchKey, SearchKey)>),
    /// A list in parentheses
    And(Vec<SearchKey>),
}

/// How a date is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTest {
    /// Earlier than that day
    Before,
    /// On that day
    On,
    /// On that day or later
    Since,
}

/// What a client knows of a mailbox (RFC 7162 section 3.2.5). What it says of sequence numbers is read and not needed:
/// which UIDs were expunged is never forgotten here.
#[derive(Clone, Debug, PartialEq)]
pub struct Qresync {
    /// UIDVALIDITY
    pub uid_validity: u32,
    /// Up to which modseq it knows.
    pub modseq: u64,
    /// Which messages; `None` is all.
    pub known_uids: Option<SequenceSet>,
    /// Whether it tried to match sequence numbers, which UIDONLY forbids.
    pub has_sequence_match: bool,
}

/// FETCH
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// Of which messages.
    pub set: SequenceSet,
    /// UID FETCH
    pub uid: bool,
    /// What.
    pub items: Vec<FetchItem>,
    /// CHANGEDSINCE (RFC 7162)
    pub changed_since: Option<u64>,
    /// VANISHED (RFC 7162)
    pub vanished: bool,
    /// PARTIAL (RFC 9394)
    pub partial: Option<PartialRange>,
}

/// `fetch-att`
#[derive(Clone, Debug, PartialEq)]
pub enum FetchItem {
    /// ENVELOPE
    Envelope,
    /// FLAGS
    Flags,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// UID
    Uid,
    /// MODSEQ
    Modseq,
    /// SAVEDATE (RFC 8514)
    SaveDate,
    /// EMAILID (RFC 8474)
    EmailId,
    /// THREADID
    ThreadId,
    /// PREVIEW (RFC 8970); LAZY asks for nothing else
    Preview,
    /// BODY
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// BODY[..], BODY.PEEK[..], BINARY[..] and the forms of RFC 3501
    Section(SectionFetch),
    /// BINARY.SIZE[..]
    BinarySize(Vec<u32>),
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct SectionFetch {
    /// How the answer is called.
    pub form: SectionForm,
    /// Whether `\Seen` stays as it is.
    pub peek: bool,
    /// The part; empty is the message.
    pub part: Vec<u32>,
    /// What of the part.
    pub text: SectionText,
    /// `<offset.length>`
    pub partial: Option<(u64, u64)>,
}

/// The name under which a section was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionForm {
    /// BODY
    Body,
    /// BINARY
    Binary,
    /// RFC822
    Rfc822,
    /// RFC822.HEADER
    Rfc822Header,
    /// RFC822.TEXT
    Rfc822Text,
}

/// What of a part.
#[derive(Clone, Debug, PartialEq)]
pub enum SectionText {
    /// All of it.
    All,
    /// HEADER
    Header,
    /// HEADER.FIELDS, or HEADER.FIELDS.NOT when `not`
    #[allow(missing_docs)] // said above
    HeaderFields { names: Vec<Vec<u8>>, not: bool },
    /// TEXT
    Text,
    /// MIME
    Mime,
}

/// STORE
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Of which messages.
    pub set: SequenceSet,
    /// UID STORE
    pub uid: bool,
    /// UNCHANGEDSINCE (RFC 7162)
    pub unchanged_since: Option<u64>,
    /// How.
    pub action: StoreAction,
    /// .SILENT
    pub silent: bool,
    /// The flags, as written.
    pub flags: Vec<String>,
}

/// FLAGS, +FLAGS, -FLAGS
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// FLAGS
    Replace,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}
