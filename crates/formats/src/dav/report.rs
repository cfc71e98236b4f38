//! Bodies of REPORT: sync-collection (RFC 6578), the queries of CalDAV (RFC 4791 section 7) and CardDAV (RFC 6352
//! section 8), expand-property (RFC 3253 section 3.8) and those about principals (RFC 3744 section 9).

use super::name::{CALDAV, CARDDAV, DAV, Name};
use super::request::{Propfind, RequestError};
use super::xml::{Element, XmlError};
use crate::calendar::filter::{CompFilter, Range};
use crate::calendar::partial::{CalendarData, Selection};
use crate::calendar::time::parse_utc;
use crate::card::{AddressData, Filter};
use crate::content_line::filter::{Collation, MatchType, ParamFilter, PropFilter, Test, TextMatch};

/// Most hrefs of one multiget.
pub const HREFS_MAX: usize = 20_000;

/// Before and after everything that a time range may leave open: years 0 and 10,000.
const OPEN: Range = (-62_167_219_200, 253_402_300_800);

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// `DAV:sync-collection`
    SyncCollection(SyncCollection),
    /// `CALDAV:calendar-query`
    CalendarQuery {
        /// What to tell of what is found.
        props: Propfind,
        /// What is meant.
        filter: CompFilter,
        /// The zone of floating times, as iCalendar.
        timezone: Option<String>,
    },
    /// `CALDAV:calendar-multiget` and `CARDDAV:addressbook-multiget`
    Multiget {
        /// What to tell of them.
        props: Propfind,
        /// Which.
        hrefs: Vec<String>,
    },
    /// `CALDAV:free-busy-query`
    FreeBusyQuery {
        /// When.
        range: Range,
    },
    /// `CARDDAV:addressbook-query`
    AddressbookQuery {
        /// What to tell of what is found.
        props: Propfind,
        /// What is meant.
        filter: Filter,
        /// At most so many.
        limit: Option<usize>,
    },
    /// `DAV:expand-property`
    ExpandProperty(Vec<Expanded>),
    /// `DAV:principal-match`: which resources are the user, or are the user's.
    PrincipalMatch {
        /// What to tell of them.
        props: Propfind,
        /// Which property must be the user; `None` when the resources themselves must be.
        property: Option<Name>,
    },
    /// `DAV:principal-property-search`
    PrincipalPropertySearch {
        /// What is looked for.
        searches: Vec<PropertySearch>,
        /// How they go together.
        test: Test,
        /// What to tell of those that are found.
        props: Propfind,
    },
    /// `DAV:principal-search-property-set`
    PrincipalSearchPropertySet,
    /// `DAV:acl-principal-prop-set`
    AclPrincipalPropSet {
        /// What to tell of them.
        props: Propfind,
    },
}

/// What changed in a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncCollection {
    /// Since when; `None` is all there is.
    pub token: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Whether of all levels.
    pub infinite: bool,
    /// What to tell of them.
    pub props: Propfind,
}

/// A property whose hrefs are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// Which.
    pub name: Name,
    /// What to tell of what it leads to.
    pub below: Vec<Expanded>,
}

/// One condition of a search for principals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertySearch {
    /// In which properties.
    pub names: Vec<Name>,
    /// What is to be in them.
    pub text: TextMatch,
}

/// Why a report is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Its body is not understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no such report.
    #[error("there is no report {0}")]
    Unknown(Name),
    /// A filter that makes no sense: `valid-filter`.
    #[error("the filter is not valid: {0}")]
    Filter(&'static str),
    /// `supported-collation`
    #[error("the collation is not offered")]
    Collation,
}

impl From<XmlError> for ReportError {
    fn from(error: XmlError) -> Self {
        ReportError::Request(error.into())
    }
}

impl Report {
    /// From a body.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn parse(body: &[u8]) -> Result<Self, ReportError> {
        let root = Element::parse(body)?;
        match (&*root.name.namespace, &*root.name.local) {
            (DAV, "sync-collection") => sync_collection(&root),
            (CALDAV, "calendar-query") => calendar_query(&root),
            (CALDAV, "calendar-multiget") | (CARDDAV, "addressbook-multiget") => multiget(&root),
            (CALDAV, "free-busy-query") => {
                let range = root.caldav("time-range").ok_or(ReportError::Filter("there is no time-range"))?;
                Ok(Report::FreeBusyQuery { range: time_range(range)? })
            }
            (CARDDAV, "addressbook-query") => addressbook_query(&root),
            (DAV, "expand-property") => Ok(Report::ExpandProperty(expanded(&root))),
            (DAV, "principal-match") => {
                let property = root.dav("principal-property").and_then(|property| property.elements().next());
                let property = property.map(|element| element.name.clone());
                Ok(Report::PrincipalMatch { props: props(&root)?, property })
            }
            (DAV, "principal-property-search") => principal_property_search(&root),
            (DAV, "principal-search-property-set") => Ok(Report::PrincipalSearchPropertySet),
            (DAV, "acl-principal-prop-set") => Ok(Report::AclPrincipalPropSet { props: props(&root)? }),
            _ => Err(ReportError::Unknown(root.name)),
        }
    }
}

/// What to tell; nothing but the href and the tag when nothing is asked for.
fn props(root: &Element) -> Result<Propfind, ReportError> {
    let asks = ["prop", "allprop", "propname"].iter().any(|name| root.dav(name).is_some());
    if asks { Ok(Propfind::of(root)?) } else { Ok(Propfind::Prop(Vec::new())) }
}

fn limit(root: &Element, namespace: &str) -> Option<usize> {
    root.find(namespace, "limit")?.find(namespace, "nresults")?.text().trim().parse().ok()
}

fn sync_collection(root: &Element) -> Result<Report, ReportError> {
    let token = root.dav("sync-token").map(|token| token.text().trim().to_owned()).filter(|token| !token.is_empty());
    let infinite = root.dav("sync-level").is_some_and(|level| level.text().trim().eq_ignore_ascii_case("infinite"));
    Ok(Report::SyncCollection(SyncCollection { token, limit: limit(root, DAV), infinite, props: props(root)? }))
}

fn multiget(root: &Element) -> Result<Report, ReportError> {
    let hrefs: Vec<String> = root
        .elements()
        .filter(|element| element.name.is(DAV, "href"))
        .map(|href| href.text().trim().to_owned())
        .collect();
    if hrefs.len() > HREFS_MAX {
        return Err(XmlError::TooMany("hrefs").into());
    }
    Ok(Report::Multiget { props: props(root)?, hrefs })
}

fn calendar_query(root: &Element) -> Result<Report, ReportError> {
    let filter = root.caldav("filter").and_then(|filter| filter.caldav("comp-filter"));
    let filter = comp_filter(filter.ok_or(ReportError::Filter("there is no comp-filter"))?)?;
    if filter.name != "VCALENDAR" {
        return Err(ReportError::Filter("the first comp-filter is not of VCALENDAR"));
    }
    let timezone = root.caldav("timezone").map(Element::text);
    Ok(Report::CalendarQuery { props: props(root)?, filter, timezone })
}

fn name_of(element: &Element) -> Result<String, ReportError> {
    let name = element.attribute("name").ok_or(ReportError::Filter("a filter has no name"))?;
    Ok(name.trim().to_ascii_uppercase())
}

fn comp_filter(element: &Element) -> Result<CompFilter, ReportError> {
    let of = |local| element.elements().filter(move |below| below.name.is(CALDAV, local));
    Ok(CompFilter {
        name: name_of(element)?,
        is_not_defined: element.caldav("is-not-defined").is_some(),
        range: element.caldav("time-range").map(time_range).transpose()?,
        props: of("prop-filter").map(|prop| prop_filter(prop, CALDAV)).collect::<Result<_, _>>()?,
        comps: of("comp-filter").map(comp_filter).collect::<Result<_, _>>()?,
    })
}

fn time_range(element: &Element) -> Result<Range, ReportError> {
    let end = |name: &str| match element.attribute(name) {
        Some(text) => parse_utc(text).map(Some).ok_or(ReportError::Filter("a time is not in UTC")),
        None => Ok(None),
    };
    match (end("start")?, end("end")?) {
        (None, None) => Err(ReportError::Filter("a time-range has neither start nor end")),
        (start, end) => {
            let range = (start.unwrap_or(OPEN.0), end.unwrap_or(OPEN.1));
            if range.0 < range.1 { Ok(range) } else { Err(ReportError::Filter("a time-range ends before it begins")) }
        }
    }
}

/// Of CalDAV (all conditions must hold) or CardDAV (one will do, unless it says otherwise).
fn prop_filter(element: &Element, namespace: &str) -> Result<PropFilter, ReportError> {
    let name = name_of(element)?;
    let (group, name) = match name.split_once('.') {
        Some((group, name)) if namespace == CARDDAV => (Some(group.to_owned()), name.to_owned()),
        _ => (None, name),
    };
    let of = |local| element.elements().filter(move |below| below.name.is(namespace, local));
    Ok(PropFilter {
        name,
        group,
        is_not_defined: element.find(namespace, "is-not-defined").is_some(),
        test: test(element, namespace)?,
        range: element.find(namespace, "time-range").map(time_range).transpose()?,
        texts: of("text-match").map(|text| text_match(text, namespace)).collect::<Result<_, _>>()?,
        params: of("param-filter").map(|param| param_filter(param, namespace)).collect::<Result<_, _>>()?,
    })
}

fn param_filter(element: &Element, namespace: &str) -> Result<ParamFilter, ReportError> {
    Ok(ParamFilter {
        name: name_of(element)?,
        is_not_defined: element.find(namespace, "is-not-defined").is_some(),
        text: element.find(namespace, "text-match").map(|text| text_match(text, namespace)).transpose()?,
    })
}

fn test(element: &Element, namespace: &str) -> Result<Test, ReportError> {
    match element.attribute("test") {
        None if namespace == CARDDAV => Ok(Test::AnyOf),
        None | Some("allof") => Ok(Test::AllOf),
        Some("anyof") => Ok(Test::AnyOf),
        Some(_) => Err(ReportError::Filter("a test is neither anyof nor allof")),
    }
}

fn text_match(element: &Element, namespace: &str) -> Result<TextMatch, ReportError> {
    let collation = match element.attribute("collation") {
        None if namespace == CARDDAV => Collation::UnicodeCasemap,
        None => Collation::AsciiCasemap,
        Some("default") => Collation::UnicodeCasemap,
        Some(name) => Collation::named(name).ok_or(ReportError::Collation)?,
    };
    let match_type = match element.attribute("match-type") {
        None | Some("contains") => MatchType::Contains,
        Some("equals") => MatchType::Equals,
        Some("starts-with") => MatchType::StartsWith,
        Some("ends-with") => MatchType::EndsWith,
        Some(_) => return Err(ReportError::Filter("a match-type is unknown")),
    };
    let negate = element.attribute("negate-condition") == Some("yes");
    Ok(TextMatch::new(&element.text(), collation, match_type, negate))
}

fn addressbook_query(root: &Element) -> Result<Report, ReportError> {
    let element = root.carddav("filter").ok_or(ReportError::Filter("there is no filter"))?;
    let props_in = element.elements().filter(|below| below.name.is(CARDDAV, "prop-filter"));
    let filter = Filter {
        test: test(element, CARDDAV)?,
        props: props_in.map(|prop| prop_filter(prop, CARDDAV)).collect::<Result<_, _>>()?,
    };
    Ok(Report::AddressbookQuery { props: props(root)?, filter, limit: limit(root, CARDDAV) })
}

fn expanded(element: &Element) -> Vec<Expanded> {
    let of = |property: &Element| {
        let local = property.attribute("name")?.to_owned();
        let namespace = property.attribute("namespace").unwrap_or(DAV).to_owned();
        let name = Name { namespace: namespace.into(), local: local.into() };
        Some(Expanded { name, below: expanded(property) })
    };
    element.elements().filter(|below| below.name.is(DAV, "property")).filter_map(of).collect()
}

fn principal_property_search(root: &Element) -> Result<Report, ReportError> {
    let mut searches = Vec::new();
    for search in root.elements().filter(|element| element.name.is(DAV, "property-search")) {
        let names = search.dav("prop").into_iter().flat_map(Element::elements).map(|name| name.name.clone()).collect();
        let text = search.dav("match").ok_or(ReportError::Filter("a property-search has no match"))?;
        let match_type = match text.attribute("match-type") {
            Some("equals") => MatchType::Equals,
            Some("starts-with") => MatchType::StartsWith,
            Some("ends-with") => MatchType::EndsWith,
            _ => MatchType::Contains,
        };
        let text = TextMatch::new(&text.text(), Collation::UnicodeCasemap, match_type, false);
        searches.push(PropertySearch { names, text });
    }
    if searches.is_empty() {
        return Err(ReportError::Filter("there is no property-search"));
    }
    let test = if root.attribute("test") == Some("anyof") { Test::AnyOf } else { Test::AllOf };
    Ok(Report::PrincipalPropertySearch { searches, test, props: props(root)? })
}

/// What `CALDAV:calendar-data` asks for.
///
/// # Errors
/// [`ReportError`].
pub fn calendar_data(element: &Element) -> Result<CalendarData, ReportError> {
    let range = |name| element.caldav(name).map(time_range).transpose();
    Ok(CalendarData {
        comp: element.caldav("comp").map(selection).transpose()?,
        expand: range("expand")?,
        limit_recurrence: range("limit-recurrence-set")?,
        limit_freebusy: range("limit-freebusy-set")?,
    })
}

fn selection(element: &Element) -> Result<Selection, ReportError> {
    let of = |local| element.elements().filter(move |below| below.name.is(CALDAV, local));
    let prop = |prop: &Element| Ok((name_of(prop)?, prop.attribute("novalue") == Some("yes")));
    Ok(Selection {
        name: name_of(element)?,
        all_props: element.caldav("allprop").is_some(),
        props: of("prop").map(prop).collect::<Result<_, ReportError>>()?,
        all_comps: element.caldav("allcomp").is_some(),
        comps: of("comp").map(selection).collect::<Result<_, _>>()?,
    })
}

/// What `CARDDAV:address-data` asks for.
///
/// # Errors
/// [`ReportError`].
pub fn address_data(element: &Element) -> Result<AddressData, ReportError> {
    let named = element.elements().filter(|prop| prop.name.is(CARDDAV, "prop")).map(name_of);
    let names = named.collect::<Result<Vec<_>, _>>()?;
    let all = names.is_empty() || element.carddav("allprop").is_some();
    Ok(AddressData { props: if all { None } else { Some(names) } })
}
