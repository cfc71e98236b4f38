//! WebDAV, CalDAV and CardDAV on the wire: names, request bodies, headers, hrefs, and the answers' XML. What a request
//! means for an account is `protocols`' matter.

pub mod headers;
pub mod href;
pub mod multistatus;
pub mod name;
pub mod report;
pub mod request;
pub mod write;
pub mod xml;

pub use name::Name;
pub use xml::{Element, XmlError};
