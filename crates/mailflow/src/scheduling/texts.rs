//! What invitations by mail say to people whose programs don't read them.

use jiff::civil::{DateTime, Weekday};
use sterna_formats::calendar::booking::Why;
use sterna_formats::calendar::itip::Method;

use crate::dsn::Language;

/// The sentences of one language. `{}` stands for the meeting's title, and in sentences for who says it.
#[derive(Debug)]
pub struct Texts {
    /// Subjects by what is said.
    invited_subject: &'static str,
    changed_subject: &'static str,
    cancelled_subject: &'static str,
    accepted_subject: &'static str,
    declined_subject: &'static str,
    tentative_subject: &'static str,
    delegated_subject: &'static str,
    proposed_subject: &'static str,
    refused_subject: &'static str,
    asked_subject: &'static str,
    /// First sentences.
    invited: &'static str,
    changed: &'static str,
    cancelled: &'static str,
    accepted: &'static str,
    declined: &'static str,
    tentative: &'static str,
    delegated: &'static str,
    proposed: &'static str,
    refused: &'static str,
    asked: &'static str,
    /// What stands before the details.
    pub when: &'static str,
    pub place: &'static str,
    pub repeats: &'static str,
    /// What a resource says while its managers decide.
    pub asks: &'static str,
    /// To its managers: `{}` is the resource, and who wants it.
    pub booking_subject: &'static str,
    pub booking: &'static str,
    /// Why it says no: taken, hours, ahead, long, series, people, times.
    whys: [&'static str; 7],
    /// Of what has no title.
    pub untitled: &'static str,
    days: [&'static str; 7],
    months: [&'static str; 12],
}

static ENGLISH: Texts = Texts {
    invited_subject: "Invitation: {}",
    changed_subject: "Changed: {}",
    cancelled_subject: "Cancelled: {}",
    accepted_subject: "Accepted: {}",
    declined_subject: "Declined: {}",
    tentative_subject: "Tentatively accepted: {}",
    delegated_subject: "Delegated: {}",
    proposed_subject: "New time proposed: {}",
    refused_subject: "Proposal declined: {}",
    asked_subject: "Details wanted: {}",
    invited: "{} has invited you.",
    changed: "{} has changed this event.",
    cancelled: "{} has cancelled this event.",
    accepted: "{} has accepted the invitation.",
    declined: "{} has declined the invitation.",
    tentative: "{} may come.",
    delegated: "{} sends somebody else.",
    proposed: "{} proposes another time.",
    refused: "{} keeps the event as it is.",
    asked: "{} asks for the current details.",
    when: "When",
    place: "Where",
    repeats: "The event repeats.",
    asks: "The managers will decide.",
    booking_subject: "A booking to decide: {}",
    booking: "{} wants to book it. Answer in its calendar.",
    whys: [
        "It is taken at that time.",
        "It can’t be booked at that time of day.",
        "It can’t be booked that far ahead.",
        "It can’t be booked for that long.",
        "It can’t be booked for series.",
        "There is not room for so many.",
        "The series has too many dates.",
    ],
    untitled: "Event",
    days: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
};

static FRENCH: Texts = Texts {
    invited_subject: "Invitation : {}",
    changed_subject: "Modification : {}",
    cancelled_subject: "Annulation : {}",
    accepted_subject: "Accepté : {}",
    declined_subject: "Refusé : {}",
    tentative_subject: "Accepté provisoirement : {}",
    delegated_subject: "Délégué : {}",
    proposed_subject: "Autre horaire proposé : {}",
    refused_subject: "Proposition refusée : {}",
    asked_subject: "Détails demandés : {}",
    invited: "{} vous invite.",
    changed: "{} a modifié cet événement.",
    cancelled: "{} a annulé cet événement.",
    accepted: "{} a accepté l’invitation.",
    declined: "{} a refusé l’invitation.",
    tentative: "{} viendra peut-être.",
    delegated: "{} se fait remplacer.",
    proposed: "{} propose un autre horaire.",
    refused: "{} maintient l’événement tel quel.",
    asked: "{} demande les détails actuels.",
    when: "Quand",
    place: "Où",
    repeats: "L’événement se répète.",
    asks: "Les responsables décideront.",
    booking_subject: "Réservation à décider : {}",
    booking: "{} souhaite la réserver. Répondez dans son agenda.",
    whys: [
        "Elle est déjà prise à ce moment.",
        "Elle n’est pas réservable à cette heure.",
        "Elle n’est pas réservable si longtemps à l’avance.",
        "Elle n’est pas réservable pour une telle durée.",
        "Elle n’est pas réservable pour une série.",
        "Il n’y a pas assez de place.",
        "La série compte trop de dates.",
    ],
    untitled: "Événement",
    days: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
};

static GERMAN: Texts = Texts {
    invited_subject: "Einladung: {}",
    changed_subject: "Geändert: {}",
    cancelled_subject: "Abgesagt: {}",
    accepted_subject: "Zugesagt: {}",
    declined_subject: "Abgelehnt: {}",
    tentative_subject: "Mit Vorbehalt zugesagt: {}",
    delegated_subject: "Vertretung: {}",
    proposed_subject: "Anderer Termin vorgeschlagen: {}",
    refused_subject: "Vorschlag abgelehnt: {}",
    asked_subject: "Rückfrage: {}",
    invited: "{} lädt Sie ein.",
    changed: "{} hat diesen Termin geändert.",
    cancelled: "{} hat diesen Termin abgesagt.",
    accepted: "{} hat zugesagt.",
    declined: "{} hat abgelehnt.",
    tentative: "{} kommt vielleicht.",
    delegated: "{} lässt sich vertreten.",
    proposed: "{} schlägt einen anderen Termin vor.",
    refused: "{} belässt den Termin, wie er ist.",
    asked: "{} fragt nach dem aktuellen Stand.",
    when: "Wann",
    place: "Wo",
    repeats: "Der Termin wiederholt sich.",
    asks: "Die Verantwortlichen entscheiden.",
    booking_subject: "Buchung zu entscheiden: {}",
    booking: "{} möchte buchen. Antworten Sie im Kalender der Ressource.",
    whys: [
        "Zu dieser Zeit ist schon belegt.",
        "Zu dieser Tageszeit kann nicht gebucht werden.",
        "So weit im Voraus kann nicht gebucht werden.",
        "So lange kann nicht gebucht werden.",
        "Für Serien kann nicht gebucht werden.",
        "Für so viele ist kein Platz.",
        "Die Serie hat zu viele Termine.",
    ],
    untitled: "Termin",
    days: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
};

/// The sentences of a language.
pub fn of(language: Language) -> &'static Texts {
    match language {
        Language::English => &ENGLISH,
        Language::French => &FRENCH,
        Language::German => &GERMAN,
    }
}

impl Texts {
    /// Subject and first sentence, for a method, an answer (PARTSTAT), and whether it is a change of what was known.
    pub fn said(&self, method: Method, answer: &str, is_change: bool) -> (&'static str, &'static str) {
        match (method, answer) {
            (Method::Request | Method::Publish, _) if is_change => (self.changed_subject, self.changed),
            (Method::Request | Method::Publish | Method::Add, _) => (self.invited_subject, self.invited),
            (Method::Cancel, _) => (self.cancelled_subject, self.cancelled),
            (Method::Counter, _) => (self.proposed_subject, self.proposed),
            (Method::DeclineCounter, _) => (self.refused_subject, self.refused),
            (Method::Refresh, _) => (self.asked_subject, self.asked),
            (Method::Reply, "DECLINED") => (self.declined_subject, self.declined),
            (Method::Reply, "ACCEPTED" | "COMPLETED" | "IN-PROCESS") => (self.accepted_subject, self.accepted),
            (Method::Reply, "DELEGATED") => (self.delegated_subject, self.delegated),
            (Method::Reply, _) => (self.tentative_subject, self.tentative),
        }
    }

    /// Why a resource says no.
    pub fn why(&self, why: Why) -> &'static str {
        let place = match why {
            Why::Taken => 0,
            Why::Hours => 1,
            Why::Ahead => 2,
            Why::Long => 3,
            Why::Series => 4,
            Why::People => 5,
            Why::Times => 6,
        };
        self.whys[place]
    }

    /// A day, as people write it.
    pub fn day(&self, at: DateTime) -> String {
        let weekday = match at.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        let month = usize::try_from(at.month() - 1).unwrap_or(0).min(11);
        let (weekday, month, day, year) = (self.days[weekday], self.months[month], at.day(), at.year());
        if std::ptr::eq(self, &GERMAN) {
            format!("{weekday}, {day}. {month} {year}")
        } else if std::ptr::eq(self, &FRENCH) {
            format!("{weekday} {day} {month} {year}")
        } else {
            format!("{weekday}, {day} {month} {year}")
        }
    }
}
