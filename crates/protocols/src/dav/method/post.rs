//! POST: adds a member under a name that the server finds (RFC 5995); asks the scheduling outbox (RFC 6638 section 5);
//! keeps attachments of calendar objects (RFC 8607); brings back versions of files and makes links to them.

use http::header::LOCATION;
use http::{Response, StatusCode};
use sterna_base::ids::random_bytes;

use super::put;
use crate::dav::answer::{Problem, with_header};
use crate::dav::body::{self, Body};
use crate::dav::context::Request;
use crate::dav::limits::OUTBOX_BYTES_MAX;
use crate::dav::paths::Space;
use crate::dav::resource::Resource;
use crate::dav::scheduling::{is_scheduling, outbox};
use crate::dav::{attachments, file_links, versions};

/// What the URL of `DAV:add-member` ends with.
pub const ADD_MEMBER: &str = "add-member";

/// Longest question in JSON, in bytes.
const JSON_BYTES_MAX: usize = 16 * 1024;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let query = request.context.uri.query().unwrap_or_default().to_owned();
    match query.split_once('=').unwrap_or((&query, "")) {
        (ADD_MEMBER, _) => add_member(request).await,
        ("restore", id) => {
            let Request { context, body } = request;
            body::drain(body, &context.headers).await;
            versions::restore(&context, id.parse().map_err(|_| Problem::bad_request("There is no such version"))?).await
        }
        ("link", _) => {
            let wish = body::whole(request.body, JSON_BYTES_MAX).await?;
            file_links::create(&request.context, &wish).await
        }
        ("action" | "rid" | "managed-id", _) => attachments::post(request).await,
        ("", "") => to_outbox(request).await,
        _ => {
            body::drain(request.body, &request.context.headers).await;
            Err(Problem::not_allowed())
        }
    }
}

/// Questions for free time, and other messages of scheduling (RFC 6638 section 5).
async fn to_outbox(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    match Resource::find(&context, context.uri.path(), sterna_account::ItemParts::default()).await {
        Ok(Resource::Collection(collection)) if is_scheduling(&collection.container) => {
            let body = body::whole(request.body, OUTBOX_BYTES_MAX).await?;
            outbox::post(&context, &collection, &body).await
        }
        found => {
            body::drain(request.body, &context.headers).await;
            Err(found.err().unwrap_or_else(Problem::not_allowed))
        }
    }
}

async fn add_member(request: Request) -> Result<Response<Body>, Problem> {
    let context = &request.context;
    let found = Resource::find(context, context.uri.path(), sterna_account::ItemParts::default()).await?;
    let Resource::Collection(collection) = found else {
        body::drain(request.body, &context.headers).await;
        return Err(Problem::not_allowed());
    };
    let ending = match collection.space {
        Space::Calendars => ".ics",
        Space::AddressBooks => ".vcf",
        Space::Files => "",
    };
    let [high, low]: [u64; 2] = {
        let bytes: [u8; 16] = random_bytes();
        [0, 8].map(|at| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap_or_default()))
    };
    let path = collection.href_of(&format!("{high:016x}{low:016x}{ending}"));
    let answer = put::at(&request.context, request.body, &path).await?;
    Ok(match answer.status() {
        StatusCode::CREATED => with_header(answer, LOCATION, &path),
        _ => answer,
    })
}
