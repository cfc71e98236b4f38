//! UNLOCK (RFC 4918 section 9.11).

use http::{Response, StatusCode};
use sterna_account::ItemParts;
use sterna_base::OperationId;

use crate::dav::answer::{Problem, done};
use crate::dav::body::Body;
use crate::dav::context::Request;
use crate::dav::locks::Locks;
use crate::dav::resource::Resource;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let given = context.header("lock-token").map(str::trim);
    let token = given.and_then(|token| token.strip_prefix('<')).and_then(|token| token.strip_suffix('>'));
    let token = token.ok_or_else(|| Problem::bad_request("Lock-Token is <token>"))?;
    let resource = Resource::find(&context, context.uri.path(), ItemParts::default()).await?;
    let home = match &resource {
        Resource::Collection(collection) | Resource::Item(collection, _) => &collection.home,
        _ => return Err(Problem::not_found()),
    };
    let locks = Locks::read(home.account.as_ref(), context.now()).await?;
    let path = resource.canonical();
    let Some((lock, _)) = locks.of_token(token).filter(|_| locks.has(&path, token)) else {
        return Err(Problem::conflict("It has no such lock").condition("<D:lock-token-matches-request-uri/>"));
    };
    // The owner of the account takes away what others left behind.
    if lock.user != context.login.account.0 && !home.is_own() {
        return Err(Problem::no_right(&path, "unlock"));
    }
    if let Some(step) = locks.removed(token) {
        home.account.commit(OperationId::random(), vec![step]).await?;
    }
    Ok(done(StatusCode::NO_CONTENT))
}
