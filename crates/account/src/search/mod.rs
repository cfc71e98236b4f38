//! Search, where the account is.
//!
//! A session resolves what only it knows (flags, sequence numbers), and asks the account for the rest with a
//! [`Filter`]. The account narrows with its [`SearchIndex`] if the engine has one, and reads what the index can't
//! decide: the answer is the same with an index, without, and with one that lags ([`step`]).

mod ask;
mod check;
mod documents;
pub mod feed;
mod filter;
pub mod index;
mod look;
mod needle;
mod phrase;
pub mod relevancy;
pub mod step;

pub use check::check;
pub use documents::{DocumentReader, NotNow};
pub use feed::Fed;
pub use filter::{Filter, Found, Span};
pub use index::{DocSet, Document, Field, IndexBatch, IndexProgress, IndexStatus, IndexedItem, Matches, SearchIndex};
pub use phrase::{Phrase, Run, grams, is_opaque, tails};
pub use step::{Allowance, Stepped, step};
