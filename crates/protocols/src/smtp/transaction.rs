//! One mail transaction: the envelope under construction.

use sterna_account::service::{Following, Rcpt};
use sterna_base::OperationId;
use sterna_formats::smtp::MailParams;

use super::content::Content;

/// From MAIL to the reply after the content.
pub(crate) struct Transaction {
    /// Its name in the log, in the Received field and in the operation ids of its commits.
    pub id: OperationId,
    /// Empty for bounces.
    pub reverse_path: String,
    /// What MAIL said.
    pub params: MailParams,
    /// The recipients that were taken.
    pub recipients: Vec<Rcpt>,
    /// The content of the chunks so far (BDAT); no recipients can be added any more.
    pub chunks: Option<Content>,
    /// Who has a say about each recipient.
    pub following: Option<Box<dyn Following>>,
}

impl Transaction {
    pub fn new(reverse_path: String, params: MailParams) -> Self {
        let (id, recipients) = (OperationId::random(), Vec::new());
        Transaction { id, reverse_path, params, recipients, chunks: None, following: None }
    }
}
