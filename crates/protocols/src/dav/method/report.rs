//! REPORT (RFC 3253 section 3.6).

use http::{Response, StatusCode};
use sterna_formats::dav::report::{Report, ReportError};
use sterna_formats::dav::xml::BODY_BYTES_MAX;

use crate::dav::answer::Problem;
use crate::dav::body::{self, Body};
use crate::dav::context::Request;
use crate::dav::report::{freebusy, multiget, principals, query, sync};

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let report = Report::parse(&body::whole(request.body, BODY_BYTES_MAX).await?).map_err(problem)?;
    match report {
        Report::SyncCollection(report) => sync::run(context, report).await,
        Report::CalendarQuery { props, filter, timezone } => query::calendar(context, props, filter, timezone).await,
        Report::AddressbookQuery { props, filter, limit } => query::cards(context, props, filter, limit).await,
        Report::Multiget { props, hrefs } => multiget::run(context, props, hrefs).await,
        Report::FreeBusyQuery { range } => freebusy::run(context, range).await,
        Report::ExpandProperty(properties) => principals::expand(context, properties).await,
        Report::PrincipalMatch { props, property } => principals::matching(context, props, property).await,
        Report::PrincipalPropertySearch { searches, test, props } => {
            principals::search(context, searches, test, props).await
        }
        Report::PrincipalSearchPropertySet => Ok(principals::search_properties()),
        Report::AclPrincipalPropSet { props } => principals::of_acl(context, props).await,
    }
}

fn problem(error: ReportError) -> Problem {
    match error {
        ReportError::Request(error) => error.into(),
        ReportError::Unknown(_) => Problem::forbidden("<D:supported-report/>", error.to_string()),
        ReportError::Filter(_) => Problem::forbidden("<C:valid-filter/>", error.to_string()),
        ReportError::Collation => {
            Problem::new(StatusCode::PRECONDITION_FAILED, error.to_string()).condition("<C:supported-collation/>")
        }
    }
}
