//! OPTIONS (RFC 9110 section 9.3.7, RFC 4918 section 10.1).

use http::header::ALLOW;
use http::{Response, StatusCode};

use crate::dav::answer::{Problem, done, with_header};
use crate::dav::body::Body;
use crate::dav::context::Request;

/// Every method.
pub const ALLOWED: &str = "OPTIONS, GET, HEAD, PUT, POST, DELETE, COPY, MOVE, PROPFIND, PROPPATCH, MKCOL, MKCALENDAR, LOCK, UNLOCK, REPORT, \
     ACL";

pub async fn run(_request: Request) -> Result<Response<Body>, Problem> {
    Ok(with_header(done(StatusCode::OK), ALLOW, ALLOWED))
}
