//! LOCK (RFC 4918 section 9.10).

use http::{HeaderName, Response, StatusCode};
use sterna_account::commit::Expect;
use sterna_account::{Content, ItemParts, Rights};
use sterna_base::{BlobHash, OperationId, Timestamp};
use sterna_formats::dav::headers::{Depth, timeout_s};
use sterna_formats::dav::request::{LockInfo, lock};
use sterna_formats::dav::write;
use sterna_formats::dav::xml::BODY_BYTES_MAX;

use super::put::{Prepared, check_name, put};
use crate::dav::answer::{Problem, XML, response, with_header};
use crate::dav::body::{self, Body};
use crate::dav::context::{Context, Home, Request};
use crate::dav::limits::TRIES;
use crate::dav::locks::{Lock, Locks, Write, active_lock};
use crate::dav::paths::Space;
use crate::dav::precondition::{came_too_late, check_if, check_tags};
use crate::dav::resource::Resource;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let wanted = lock(&body::whole(request.body, BODY_BYTES_MAX).await?)?;
    for _ in 0..TRIES {
        let result = match &wanted {
            Some(wanted) => give(&context, wanted).await,
            None => refresh(&context).await,
        };
        match result {
            Err(problem) if came_too_late(&problem) => {}
            result => return result,
        }
    }
    Err(Problem::unavailable(1))
}

/// Whose home something is in, if the user may write it.
fn lockable(resource: &Resource) -> Result<&Home, Problem> {
    match resource {
        Resource::Collection(collection) | Resource::Item(collection, _) => {
            collection.check(Rights::WRITE, "write-content")?;
            Ok(&collection.home)
        }
        Resource::Missing(missing) => match &missing.parent {
            // Only a file can be there and have nothing in it.
            Some(parent) if missing.space == Space::Files => {
                parent.check(Rights::INSERT, "bind")?;
                check_name(&missing.name)?;
                Ok(&missing.home)
            }
            _ => Err(Problem::not_found()),
        },
        _ => Err(Problem::new(StatusCode::FORBIDDEN, "That can't be locked")),
    }
}

async fn give(context: &Context, wanted: &LockInfo) -> Result<Response<Body>, Problem> {
    let resource = Resource::find(context, context.uri.path(), ItemParts::default()).await?;
    let account = lockable(&resource)?.account.clone();
    let infinite = match context.depth(Depth::Infinity)? {
        Depth::Zero => false,
        Depth::Infinity => matches!(resource, Resource::Collection(_)),
        Depth::One => return Err(Problem::bad_request("Depth is 0 or infinity")),
    };
    check_tags(context, &resource)?;
    let path = resource.canonical();
    let locks = Locks::read(account.as_ref(), context.now()).await?;
    let tokens = check_if(context, &resource, &locks).await?;
    locks.check_new(&path, infinite, wanted.shared)?;
    let is_new = if let Resource::Missing(missing) = &resource {
        let write = Write { path: &path, changes_members: true, with_below: false };
        locks.check(write, context.login.account, &tokens)?;
        let parent = missing.parent.as_ref().ok_or_else(Problem::not_found)?;
        let (content, hash) = (Content::Inline(bytes::Bytes::new()), BlobHash::of(b""));
        let nothing = Prepared { content, hash, summary: None, object_uid: None, kind: None, scheduled: None };
        let steps = vec![locks.expectation(), put(parent, missing.name.clone(), &nothing, Expect::Absent)];
        account.commit(OperationId::random(), steps).await?;
        true
    } else {
        false
    };
    let token = format!("urn:uuid:{}", uuid());
    let (owner, user) = (wanted.owner.clone(), context.login.account.0);
    let lock = Lock { token, path, infinite, shared: wanted.shared, owner, user };
    let seconds = timeout_s(context.header("timeout"));
    locks.put(account.as_ref(), &lock, until(context, seconds)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = answer(status, &lock, seconds);
    Ok(with_header(answer, HeaderName::from_static("lock-token"), &format!("<{}>", lock.token)))
}

async fn refresh(context: &Context) -> Result<Response<Body>, Problem> {
    let resource = Resource::find(context, context.uri.path(), ItemParts::default()).await?;
    let account = lockable(&resource)?.account.clone();
    let locks = Locks::read(account.as_ref(), context.now()).await?;
    let tokens = check_if(context, &resource, &locks).await?;
    let path = resource.canonical();
    let [token] = &tokens[..] else { return Err(Problem::bad_request("the If header names one lock to refresh")) };
    let is_held = |lock: &Lock| locks.has(&path, token) && lock.user == context.login.account.0;
    let Some((lock, _)) = locks.of_token(token).filter(|(lock, _)| is_held(lock)) else {
        let condition = "<D:lock-token-matches-request-uri/>";
        return Err(Problem::failed_precondition().condition(condition));
    };
    let seconds = timeout_s(context.header("timeout"));
    locks.put(account.as_ref(), lock, until(context, seconds)).await?;
    Ok(answer(StatusCode::OK, lock, seconds))
}

fn until(context: &Context, seconds: u64) -> Timestamp {
    context.now().plus_ms(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
}

fn answer(status: StatusCode, lock: &Lock, seconds: u64) -> Response<Body> {
    let mut xml = String::new();
    write::root("D:prop", &mut xml);
    xml.push_str("<D:lockdiscovery>");
    active_lock(lock, i64::try_from(seconds).unwrap_or(i64::MAX), &mut xml);
    xml.push_str("</D:lockdiscovery></D:prop>\n");
    response(status, XML, xml)
}

/// A random UUID (RFC 9562 section 5.4).
fn uuid() -> String {
    let mut bytes: [u8; 16] = sterna_base::ids::random_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
