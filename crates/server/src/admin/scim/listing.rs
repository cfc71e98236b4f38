//! Lists and searches (RFC 7644 section 3.4.2): filter, page, and the attributes that are wanted.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sterna_base::DomainId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::rights::{Area, Permission, Rights, Within};
use sterna_directory::{AnyEntry, Reader, RowKind, StorageError, Versioned};

use super::filter::Filter;
use super::{ScimError, answer, object};

/// Resources of one page when the client doesn't say.
const PAGE_DEFAULT: usize = 100;

/// Most resources of one page; said by ServiceProviderConfig.
pub const PAGE_MAX: usize = 1000;

/// Entries that one list looks at.
const LOOKED_MAX: usize = 500_000;

/// What is asked of a list, in the query or in the body of `.search`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Query {
    /// Which resources.
    pub filter: Option<String>,
    /// From which on, the first is 1.
    pub start_index: Option<i64>,
    /// How many.
    pub count: Option<i64>,
    /// Only these attributes, separated by commas.
    pub attributes: Option<Names>,
    /// All but these.
    pub excluded_attributes: Option<Names>,
}

/// Names of attributes: separated by commas in a query, a list in a body.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// `a,b`
    Text(String),
    /// `["a", "b"]`
    List(Vec<String>),
}

impl Names {
    fn all(&self) -> Vec<String> {
        let split = |text: &str| text.split(',').map(|name| name.trim().to_lowercase()).collect::<Vec<_>>();
        let names = match self {
            Names::Text(text) => split(text),
            Names::List(list) => list.iter().map(|name| name.trim().to_lowercase()).collect(),
        };
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }
}

impl Query {
    /// What the body of a search asks (RFC 7644 section 3.4.3).
    ///
    /// # Errors
    /// `invalidSyntax`.
    pub fn read(body: &Bytes) -> Result<Self, ScimError> {
        serde_json::from_value(object(body)?).map_err(|error| ScimError::invalid_syntax(error.to_string()))
    }

    /// The filter, if there is one.
    ///
    /// # Errors
    /// `invalidFilter`.
    pub fn read_filter(&self) -> Result<Option<Filter>, ScimError> {
        self.filter.as_deref().filter(|text| !text.trim().is_empty()).map(Filter::read).transpose()
    }

    /// Whether an attribute is wanted: reading members of many groups for nothing takes long.
    pub fn wants(&self, name: &str) -> bool {
        let named = |names: &Option<Names>| names.as_ref().map(Names::all);
        let is_it = |one: &String| one == name || one.ends_with(&format!(":{name}"));
        match (named(&self.attributes), named(&self.excluded_attributes)) {
            (Some(wanted), _) if !wanted.is_empty() => wanted.iter().any(is_it),
            (_, Some(excluded)) => !excluded.iter().any(is_it),
            _ => true,
        }
    }

    /// A resource with the attributes that are wanted; what names it always stays.
    pub fn cut(&self, resource: Value) -> Value {
        let Value::Object(fields) = resource else { return resource };
        let top = |names: &Option<Names>| {
            names.as_ref().map(Names::all).map(|names| {
                let cut = |name: String| {
                    let bare = name.rsplit_once(':').map_or(name.as_str(), |(_, bare)| bare);
                    bare.split('.').next().unwrap_or_default().to_owned()
                };
                names.into_iter().map(cut).collect::<Vec<_>>()
            })
        };
        let always = |name: &str| matches!(name, "id" | "schemas");
        let (wanted, excluded) = (top(&self.attributes), top(&self.excluded_attributes));
        let keeps = |name: &String| {
            let lower = name.to_lowercase();
            let wanted = wanted.as_ref().filter(|names| !names.is_empty());
            always(name)
                || match (wanted, &excluded) {
                    (Some(wanted), _) => wanted.contains(&lower),
                    (None, Some(excluded)) => !excluded.contains(&lower),
                    (None, None) => true,
                }
        };
        Value::Object(fields.into_iter().filter(|(name, _)| keeps(name)).collect::<Map<_, _>>())
    }

    /// The page of what was found.
    pub fn page(&self, found: Vec<Value>) -> Response {
        let total = found.len();
        let start = usize::try_from(self.start_index.unwrap_or(1).max(1)).unwrap_or(1);
        let count = self.count.map_or(PAGE_DEFAULT, |count| usize::try_from(count.max(0)).unwrap_or(0)).min(PAGE_MAX);
        let items: Vec<Value> = found.into_iter().skip(start - 1).take(count).map(|one| self.cut(one)).collect();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": items.len(),
            "Resources": items,
        });
        answer(StatusCode::OK, body, None)
    }
}

/// Every entry of a kind that whoever asks may see, in one order.
pub fn entries(
    reader: &Reader<'_>,
    rights: &Rights,
    kind: RowKind,
    mut each: impl FnMut(Versioned<AnyEntry>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let read = Permission::read(Area::People);
    let domains = rights.domains_with(read);
    let domains: Vec<Option<DomainId>> = match domains.is_empty() {
        true => vec![None],
        false => domains.into_iter().map(Some).collect(),
    };
    let mut looked = 0;
    for domain in domains {
        let mut after = None;
        loop {
            let page = reader.entries(kind, domain, after.as_ref(), PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { break };
            after = Some(last.value.entry().address.clone());
            for found in page {
                let entry = found.value.entry();
                if rights.may(read, Within::Unit(entry.address.domain, &entry.unit)) {
                    looked += 1;
                    each(found)?;
                }
            }
            if looked >= LOOKED_MAX {
                return Ok(());
            }
        }
    }
    Ok(())
}
