//! What notifications say to people, in their language.

/// The languages that notifications are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// French.
    French,
    /// German.
    German,
}

/// The sentences of one language. `{}` stands for what is told of.
#[derive(Debug)]
pub struct Texts {
    /// Tag of RFC 5646.
    pub tag: &'static str,
    /// Subject when somebody can't be reached.
    pub failed_subject: &'static str,
    /// First sentence then.
    pub failed: &'static str,
    /// Subject when it takes long.
    pub delayed_subject: &'static str,
    /// First sentence then.
    pub delayed: &'static str,
    /// Subject when it was delivered.
    pub delivered_subject: &'static str,
    /// First sentence then.
    pub delivered: &'static str,
    /// First sentence when it was handed to a server that doesn't tell more.
    pub relayed: &'static str,
    /// Who says this, with the host.
    pub sender: &'static str,
    /// Before what a server said.
    pub said: &'static str,
    /// What nobody has to do.
    pub no_action: &'static str,
    /// What comes after the text.
    pub attached: &'static str,
}

static ENGLISH: Texts = Texts {
    tag: "en",
    failed_subject: "Your message could not be delivered",
    failed: "Your message could not be delivered to these recipients, and it will not be tried again:",
    delayed_subject: "Your message is delayed",
    delayed: "Your message could not be delivered to these recipients yet. It will be tried again until {}:",
    delivered_subject: "Your message was delivered",
    delivered: "Your message was delivered to these recipients:",
    relayed: "Your message was passed on for these recipients, to a server that does not confirm deliveries:",
    sender: "This is the mail system at {}.",
    said: "{} said: ",
    no_action: "You need not do anything, and you need not send the message again.",
    attached: "The message, or its header, is attached.",
};

static FRENCH: Texts = Texts {
    tag: "fr",
    failed_subject: "Votre message n'a pas pu être remis",
    failed: "Votre message n'a pas pu être remis aux destinataires suivants, et aucun nouvel essai ne sera fait :",
    delayed_subject: "Votre message est retardé",
    delayed: "Votre message n'a pas encore pu être remis aux destinataires suivants. De nouveaux essais seront faits jusqu'au {} :",
    delivered_subject: "Votre message a été remis",
    delivered: "Votre message a été remis aux destinataires suivants :",
    relayed: "Votre message a été transmis pour les destinataires suivants à un serveur qui ne confirme pas les remises :",
    sender: "Ceci est le système de messagerie de {}.",
    said: "{} a répondu : ",
    no_action: "Vous n'avez rien à faire, et vous n'avez pas à renvoyer le message.",
    attached: "Le message, ou son en-tête, est joint.",
};

static GERMAN: Texts = Texts {
    tag: "de",
    failed_subject: "Ihre Nachricht konnte nicht zugestellt werden",
    failed: "Ihre Nachricht konnte diesen Empfängern nicht zugestellt werden, und es wird nicht weiter versucht:",
    delayed_subject: "Ihre Nachricht verspätet sich",
    delayed: "Ihre Nachricht konnte diesen Empfängern noch nicht zugestellt werden. Es wird weiter versucht bis {}:",
    delivered_subject: "Ihre Nachricht wurde zugestellt",
    delivered: "Ihre Nachricht wurde diesen Empfängern zugestellt:",
    relayed: "Ihre Nachricht wurde für diese Empfänger an einen Server weitergegeben, der Zustellungen nicht bestätigt:",
    sender: "Dies ist das Mailsystem von {}.",
    said: "{} sagte: ",
    no_action: "Sie müssen nichts tun und die Nachricht nicht noch einmal senden.",
    attached: "Die Nachricht oder ihr Kopf ist angehängt.",
};

impl Language {
    /// From a tag such as `de-AT`; English for languages that we don't have.
    pub fn of(tag: &str) -> Self {
        match tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "fr" => Language::French,
            "de" => Language::German,
            _ => Language::English,
        }
    }

    /// Its sentences.
    pub fn texts(self) -> &'static Texts {
        match self {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
            Language::German => &GERMAN,
        }
    }
}
