//! Request bodies of the methods: PROPFIND, PROPPATCH, MKCOL, MKCALENDAR, LOCK, ACL.

use super::name::{CALDAV, DAV, Name};
use super::xml::{Element, XmlError};

/// Why a body is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is no XML that is taken.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is XML for something else.
    #[error("the body is not what the method takes: {0}")]
    Unexpected(&'static str),
}

/// Most properties that one request may name.
pub const PROPERTIES_MAX: usize = 1000;

/// A property that is asked for. Some are asked for with conditions (`calendar-data`), which stay with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub name: Name,
    /// The whole element, when something is in it.
    pub element: Option<Element>,
}

/// Which properties a request asks for (RFC 4918 section 14.20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Propfind {
    /// These.
    Prop(Vec<Wanted>),
    /// Those that everything has, and these.
    AllProp(Vec<Wanted>),
    /// Their names.
    PropName,
}

impl Propfind {
    /// From a body; an empty one asks for all.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Propfind::AllProp(Vec::new()));
        }
        let root = Element::parse(body)?;
        if !root.name.is(DAV, "propfind") {
            return Err(RequestError::Unexpected("it is no propfind"));
        }
        Propfind::of(&root)
    }

    /// From an element that has `prop`, `allprop` or `propname` in it, as reports do.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn of(element: &Element) -> Result<Self, RequestError> {
        if let Some(prop) = element.dav("prop") {
            return Ok(Propfind::Prop(wanted(prop)?));
        }
        if element.dav("allprop").is_some() {
            let included = element.dav("include").map(wanted).transpose()?;
            return Ok(Propfind::AllProp(included.unwrap_or_default()));
        }
        if element.dav("propname").is_some() {
            return Ok(Propfind::PropName);
        }
        Err(RequestError::Unexpected("it asks for no properties"))
    }
}

fn wanted(prop: &Element) -> Result<Vec<Wanted>, RequestError> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for element in prop.elements() {
        if wanted.len() >= PROPERTIES_MAX {
            return Err(XmlError::TooMany("properties").into());
        }
        let says_more = !element.children.is_empty() || !element.attributes.is_empty();
        let found = Wanted { name: element.name.clone(), element: says_more.then(|| element.clone()) };
        if !wanted.contains(&found) {
            wanted.push(found);
        }
    }
    Ok(wanted)
}

/// One change of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// To this value.
    Set(Element),
    /// To none.
    Remove(Name),
}

impl Change {
    /// Of which property.
    pub fn name(&self) -> &Name {
        match self {
            Change::Set(element) => &element.name,
            Change::Remove(name) => name,
        }
    }
}

/// The changes of a PROPPATCH, in their order (RFC 4918 section 9.2).
///
/// # Errors
/// [`RequestError`].
pub fn proppatch(body: &[u8]) -> Result<Vec<Change>, RequestError> {
    let root = Element::parse(body)?;
    if !root.name.is(DAV, "propertyupdate") {
        return Err(RequestError::Unexpected("it is no propertyupdate"));
    }
    changes(&root)
}

fn changes(root: &Element) -> Result<Vec<Change>, RequestError> {
    let mut changes = Vec::new();
    for instruction in root.elements().filter(|element| element.name.namespace == DAV) {
        let set = match &*instruction.name.local {
            "set" => true,
            "remove" => false,
            _ => continue,
        };
        for prop in instruction.elements().filter(|element| element.name.is(DAV, "prop")) {
            for property in prop.elements() {
                changes.push(if set { Change::Set(property.clone()) } else { Change::Remove(property.name.clone()) });
            }
        }
    }
    if changes.len() > PROPERTIES_MAX {
        return Err(XmlError::TooMany("properties").into());
    }
    Ok(changes)
}

/// The properties of a new collection: MKCOL (RFC 5689) and MKCALENDAR (RFC 4791 section 5.3.1). An empty body has
/// none.
///
/// # Errors
/// [`RequestError`].
pub fn mkcol(body: &[u8]) -> Result<Vec<Element>, RequestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let root = Element::parse(body)?;
    if !root.name.is(DAV, "mkcol") && !root.name.is(CALDAV, "mkcalendar") {
        return Err(RequestError::Unexpected("it is neither mkcol nor mkcalendar"));
    }
    let set = changes(&root)?.into_iter().filter_map(|change| match change {
        Change::Set(element) => Some(element),
        Change::Remove(_) => None,
    });
    Ok(set.collect())
}

/// What LOCK asks for (RFC 4918 section 14.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// Whether others may lock it, too.
    pub shared: bool,
    /// Who, as the client says it: XML.
    pub owner: String,
}

/// Longest `owner` that is kept, in bytes.
pub const OWNER_BYTES_MAX: usize = 1024;

/// The lock that is asked for; `None` when one is to be refreshed.
///
/// # Errors
/// [`RequestError`].
pub fn lock(body: &[u8]) -> Result<Option<LockInfo>, RequestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let root = Element::parse(body)?;
    let scope = root.dav("lockscope").filter(|_| root.name.is(DAV, "lockinfo"));
    let (Some(scope), Some(kind)) = (scope, root.dav("locktype")) else {
        return Err(RequestError::Unexpected("it is no lockinfo"));
    };
    if kind.dav("write").is_none() {
        return Err(RequestError::Unexpected("only write locks are given"));
    }
    let mut owner = String::new();
    if let Some(element) = root.dav("owner") {
        element.write_children("", &mut owner);
    }
    if owner.len() > OWNER_BYTES_MAX {
        return Err(RequestError::Unexpected("the owner is too long"));
    }
    Ok(Some(LockInfo { shared: scope.dav("shared").is_some(), owner }))
}

/// One entry of an ACL (RFC 3744 section 5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ace {
    /// Whose.
    pub principal: AcePrincipal,
    /// Whether it takes away.
    pub deny: bool,
    /// Names of privileges.
    pub privileges: Vec<Name>,
}

/// Whose entry it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcePrincipal {
    /// A principal's href.
    Href(String),
    /// Everybody.
    All,
    /// Everybody who has logged in.
    Authenticated,
    /// The owner.
    Owner,
    /// Everybody but somebody (`DAV:invert`).
    Inverted,
    /// Another kind, which is not taken.
    Other,
}

/// The entries of an ACL request (RFC 3744 section 8.1); those that say that they are inherited or protected are left
/// out, because the server knows them better.
///
/// # Errors
/// [`RequestError`].
pub fn acl(body: &[u8]) -> Result<Vec<Ace>, RequestError> {
    let root = Element::parse(body)?;
    if !root.name.is(DAV, "acl") {
        return Err(RequestError::Unexpected("it is no acl"));
    }
    let is_given =
        |ace: &&Element| ace.name.is(DAV, "ace") && ace.dav("inherited").is_none() && ace.dav("protected").is_none();
    root.elements().filter(is_given).map(ace).collect()
}

fn ace(element: &Element) -> Result<Ace, RequestError> {
    let inverted = element.dav("invert").and_then(|invert| invert.dav("principal"));
    let principal = element.dav("principal").or(inverted);
    let principal = principal.ok_or(RequestError::Unexpected("an ace has no principal"))?;
    let who = if inverted.is_some() {
        AcePrincipal::Inverted
    } else if let Some(href) = principal.dav("href") {
        AcePrincipal::Href(href.text().trim().to_owned())
    } else if principal.dav("all").is_some() {
        AcePrincipal::All
    } else if principal.dav("authenticated").is_some() {
        AcePrincipal::Authenticated
    } else if principal.dav("property").is_some_and(|property| property.dav("owner").is_some()) {
        AcePrincipal::Owner
    } else {
        AcePrincipal::Other
    };
    let (deny, said) = match (element.dav("grant"), element.dav("deny")) {
        (Some(grant), None) => (false, grant),
        (None, Some(deny)) => (true, deny),
        _ => return Err(RequestError::Unexpected("an ace neither grants nor denies")),
    };
    let of_privilege = |privilege: &Element| privilege.elements().next().map(|name| name.name.clone());
    let privileges = said.elements().filter(|element| element.name.is(DAV, "privilege")).filter_map(of_privilege);
    Ok(Ace { principal: who, deny, privileges: privileges.collect() })
}
