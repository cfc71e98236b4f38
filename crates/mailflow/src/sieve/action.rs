//! What a script wants to be done.

/// Which form of the message: as it came, or as the script changed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form(pub usize);

impl Form {
    /// As it came.
    pub const ORIGINAL: Form = Form(0);
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Into the INBOX (or wherever mail goes that nobody files).
    Keep {
        /// Flags by their IMAP names.
        flags: Vec<String>,
        /// Which form.
        form: Form,
    },
    /// Into a mailbox.
    FileInto {
        /// Where.
        place: Place,
        /// Flags by their IMAP names.
        flags: Vec<String>,
        /// Which form.
        form: Form,
    },
    /// On to somebody.
    Redirect {
        /// Whom.
        address: String,
        /// NOTIFY (RFC 6009).
        notify: Option<String>,
        /// Which form.
        form: Form,
    },
    /// Back to the sender.
    Reject {
        /// Why.
        reason: String,
    },
    /// An automatic answer.
    Vacation(Vacation),
    /// A mail that tells of this one.
    Notify(Notify),
}

/// A mailbox as a script names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub folder: String,
    /// The one with this id before the one of that name (RFC 9042).
    pub mailbox_id: Option<String>,
    /// The one with this use before the one of that name (RFC 8579).
    pub special_use: Option<String>,
    /// Whether it is made when there is none.
    pub create: bool,
}

/// RFC 5230.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacation {
    /// `:from`
    pub from: Option<String>,
    /// `:subject`
    pub subject: Option<String>,
    /// Whether the reason is a MIME entity.
    pub is_mime: bool,
    /// The text.
    pub reason: String,
}

/// RFC 5435, by RFC 5436.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// The method, a URI.
    pub method: String,
    /// `:from`
    pub from: Option<String>,
    /// `:message`, or the subject of the mail.
    pub message: String,
    /// 1 is high, 3 is low.
    pub importance: u8,
}

/// What one run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In the script's order; the implicit keep is one of them.
    pub actions: Vec<Action>,
    /// The forms that the script made: the first is [`Form`] 1.
    pub forms: Vec<Vec<u8>>,
    /// What is to be remembered, and for how many seconds.
    pub remembered: Vec<(String, u64)>,
}

impl Outcome {
    /// Whether the message is kept: a later script of the domain then has its turn.
    pub fn keeps(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Keep { .. }))
    }

    /// Adds what another script did, which ran after this one; its implicit keep stands for this one's.
    pub fn then(&mut self, mut next: Outcome) {
        let shift = self.forms.len();
        let at = |form: Form| if form == Form::ORIGINAL { form } else { Form(form.0 + shift) };
        self.actions.retain(|action| !matches!(action, Action::Keep { .. }));
        for action in &mut next.actions {
            if let Action::Keep { form, .. } | Action::FileInto { form, .. } | Action::Redirect { form, .. } = action {
                *form = at(*form);
            }
        }
        self.actions.append(&mut next.actions);
        self.forms.append(&mut next.forms);
        self.remembered.append(&mut next.remembered);
    }

    /// Why these actions can't be done together, if they can't (RFC 5429 section 2.4).
    pub fn conflict(&self) -> Option<&'static str> {
        let rejects = self.actions.iter().filter(|action| matches!(action, Action::Reject { .. })).count();
        (rejects > 0 && self.actions.len() > rejects)
            .then_some("a message can't be rejected and kept, filed or answered")
    }
}
