//! What handlers answer, as types: the description of the API is made of them.

use std::marker::PhantomData;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::view::{CHANGED, Resource};

/// There is nothing to show.
pub(super) struct NoContent(pub(super) Response);

impl NoContent {
    /// After a deletion, or a dry run of a creation; says whether anything changed.
    pub(super) fn changed(changed: bool) -> Self {
        let changed = HeaderValue::from_static(if changed { "true" } else { "false" });
        NoContent((StatusCode::NO_CONTENT, [(CHANGED, changed)]).into_response())
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        self.0
    }
}

/// What has a secret in it, and is kept nowhere on the way.
pub(super) struct Private<T>(pub T);

impl<T: Serialize> IntoResponse for Private<T> {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self.0)).into_response()
    }
}

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name<T>(Response, PhantomData<fn() -> T>);

        impl<T: Serialize + JsonSchema> From<Resource<T>> for $name<T> {
            fn from(resource: Resource<T>) -> Self {
                $name(resource.into_response(), PhantomData)
            }
        }

        impl<T> From<NoContent> for $name<T> {
            fn from(none: NoContent) -> Self {
                $name(none.0, PhantomData)
            }
        }

        impl<T> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                self.0
            }
        }
    )*};
}

answers! {
    /// What was made (201), or nothing where it was only tried (204).
    Made;
    /// What was put away (200), or nothing where it is gone (204).
    Removed;
    /// What is planned (200), was begun (201), or goes on by itself (202).
    Begun;
}

impl<T> Made<T> {
    /// What is in it is shown this once, and kept nowhere on the way.
    pub(super) fn private(mut self) -> Self {
        self.0.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self
    }
}
