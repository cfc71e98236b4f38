//! What mail server and milter agree on before anything else.

use super::command::Stage;
use super::{VERSION, VERSION_MIN};

/// What a milter may do with a message (`SMFIF_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(pub u32);

impl Actions {
    /// Add header fields.
    pub const ADD_HEADERS: Actions = Actions(0x001);
    /// Put another body in its place.
    pub const CHANGE_BODY: Actions = Actions(0x002);
    /// Add recipients.
    pub const ADD_RCPT: Actions = Actions(0x004);
    /// Take recipients out.
    pub const DELETE_RCPT: Actions = Actions(0x008);
    /// Change and delete header fields.
    pub const CHANGE_HEADERS: Actions = Actions(0x010);
    /// Put it aside.
    pub const QUARANTINE: Actions = Actions(0x020);
    /// Change the reverse-path.
    pub const CHANGE_FROM: Actions = Actions(0x040);
    /// Add recipients with parameters.
    pub const ADD_RCPT_PARAMS: Actions = Actions(0x080);
    /// Say which macros it wants.
    pub const SET_MACROS: Actions = Actions(0x100);
    /// All of these.
    pub const ALL: Actions = Actions(0x1ff);

    /// Whether all of `other` are in it.
    pub fn has(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a milter need not be told, and where it gives no answer (`SMFIP_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub u32);

impl Steps {
    /// It may say that it needs no more of the body.
    pub const SKIP: Steps = Steps(0x400);
    /// Values of header fields keep the space before them.
    pub const LEADING_SPACE: Steps = Steps(0x10_0000);
    /// All that we can do: everything but telling of refused recipients (0x800) and of larger pieces of bodies.
    pub const ALL: Steps = Steps(0x1f_f7ff);

    /// Whether all of `other` are in it.
    pub fn has(self, other: Steps) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of a step: that it is left out, and that it has no answer.
    fn of(stage: Stage) -> (Steps, Steps) {
        let (left_out, silent) = match stage {
            Stage::Connect => (0x1, 0x1000),
            Stage::Helo => (0x2, 0x2000),
            Stage::Mail => (0x4, 0x4000),
            Stage::Rcpt => (0x8, 0x8000),
            Stage::Body => (0x10, 0x8_0000),
            Stage::Header => (0x20, 0x80),
            Stage::EndOfHeader => (0x40, 0x4_0000),
            Stage::Data => (0x200, 0x1_0000),
            Stage::EndOfMessage => (0, 0),
        };
        (Steps(left_out), Steps(silent))
    }
}

/// What a mail server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What milters may do.
    pub actions: Actions,
    /// What may be left out.
    pub steps: Steps,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The milter's version.
    pub version: u32,
    /// What it may do.
    pub actions: Actions,
    /// What is left out.
    pub steps: Steps,
}

/// There is no agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Its words are too few.
    #[error("its negotiation is too short")]
    Short,
    /// It speaks a version that we don't.
    #[error("it speaks version {0} of the protocol")]
    Version(u32),
    /// It wants what was not offered.
    #[error("it wants what is not offered (actions {actions:#x}, steps {steps:#x})")]
    Unknown {
        /// Actions beyond the offer.
        actions: u32,
        /// Steps beyond the offer.
        steps: u32,
    },
}

impl Offer {
    /// Everything that we can do.
    pub const ALL: Offer = Offer { actions: Actions::ALL, steps: Steps::ALL };

    /// As the data of the first packet (`SMFIC_OPTNEG`).
    pub fn encode(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (place, word) in bytes.chunks_exact_mut(4).zip([VERSION, self.actions.0, self.steps.0]) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// What the milter answers. The macros that it asks for behind that are passed over: it is told all that we know.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn agree(self, data: &[u8]) -> Result<Options, OptionsError> {
        let options = Options::read(data)?;
        let actions = options.actions.0 & !self.actions.0;
        let steps = options.steps.0 & !self.steps.0;
        if actions != 0 || steps != 0 {
            return Err(OptionsError::Unknown { actions, steps });
        }
        Ok(options)
    }
}

impl Options {
    /// The three words of a negotiation.
    ///
    /// # Errors
    /// [`OptionsError::Short`] and [`OptionsError::Version`].
    pub fn read(data: &[u8]) -> Result<Self, OptionsError> {
        let word = |at: usize| data.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (Some(version), Some(actions), Some(steps)) = (word(0), word(4), word(8)) else {
            return Err(OptionsError::Short);
        };
        if !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(OptionsError::Version(version));
        }
        Ok(Options { version, actions: Actions(actions), steps: Steps(steps) })
    }

    /// Whether the milter is told of a step.
    pub fn wants(self, stage: Stage) -> bool {
        let (left_out, _) = Steps::of(stage);
        // Older versions have no DATA.
        let is_known = stage != Stage::Data || self.version > 3;
        is_known && (left_out.0 == 0 || !self.steps.has(left_out))
    }

    /// Whether it answers it.
    pub fn answers(self, stage: Stage) -> bool {
        let (_, silent) = Steps::of(stage);
        silent.0 == 0 || !self.steps.has(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_agreed_on_is_what_both_know() {
        let offer = Offer::ALL;
        assert_eq!(offer.encode(), *b"\0\0\0\x06\0\0\x01\xff\0\x1f\xf7\xff");
        let agreed = offer.agree(b"\0\0\0\x06\0\0\0\x11\0\0\x10\x02l\0").unwrap();
        assert_eq!((agreed.version, agreed.actions, agreed.steps), (6, Actions(0x11), Steps(0x1002)));
        assert!(agreed.wants(Stage::Connect) && !agreed.answers(Stage::Connect));
        assert!(!agreed.wants(Stage::Helo) && agreed.wants(Stage::Mail) && agreed.answers(Stage::Mail));
        assert!(agreed.wants(Stage::EndOfMessage) && agreed.answers(Stage::EndOfMessage));
    }

    #[test]
    fn who_wants_more_is_not_understood() {
        assert_eq!(Offer::ALL.agree(b"\0\0\0\x06"), Err(OptionsError::Short));
        assert_eq!(Offer::ALL.agree(b"\0\0\0\x07\0\0\0\0\0\0\0\0"), Err(OptionsError::Version(7)));
        let more = Offer::ALL.agree(b"\0\0\0\x06\0\0\x02\x01\0\0\x08\x01");
        assert_eq!(more, Err(OptionsError::Unknown { actions: 0x200, steps: 0x800 }));
        let old = Offer::ALL.agree(b"\0\0\0\x02\0\0\0\0\0\0\0\0").unwrap();
        assert!(!old.wants(Stage::Data) && old.wants(Stage::Body));
    }
}
