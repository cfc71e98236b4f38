//! What handlers take and answer, read from their own signatures: nothing that is described can be other than what is
//! done. Schemas are made of the types that are serialised and deserialised.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::handler::Handler;
use axum::response::Sse;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Json};
use futures_util::Stream;
use http::{HeaderMap, Uri};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::answer::{Begun, Made, NoContent, Private, Removed};
use super::archive::{TarBody, TarStream};
use super::doors::AdminState;
use super::input::{Asked, Body, By, IfMatch, Params};
use super::principal::{Principal, Seen};
use super::problem::Problem;
use super::sessions::From;
use super::view::Resource;

/// Makes the schema of one type, and notes those that it names.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The whole schema in one place: of the parameters of a query string each property is one.
fn inline_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// What an answer has in it.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Nothing.
    None,
    /// JSON.
    Json(SchemaOf),
    /// Server-sent events.
    Events,
    /// A tar stream.
    Tar,
}

/// What one handler takes and answers.
#[derive(Clone, Default)]
pub(super) struct Operation {
    /// The JSON body.
    pub body: Option<SchemaOf>,
    /// Whether the body is a tar stream.
    pub takes_tar: bool,
    /// The parameters of its own in the query string.
    pub query: Option<SchemaOf>,
    /// Whether it takes those that most listings and writes share.
    pub params: bool,
    /// Whether it refuses to change what somebody else changed.
    pub if_match: bool,
    /// Its answers when all is well: status, whether it has an ETag, content.
    pub answers: Vec<(u16, bool, Content)>,
}

/// What an extractor takes out of a request.
pub(super) trait Taken {
    fn describe(_operation: &mut Operation) {}
}

impl Taken for State<AdminState> {}
impl<T> Taken for Path<T> {}
impl Taken for By {}
impl Taken for Principal {}
impl Taken for Seen {}
impl Taken for HeaderMap {}
impl Taken for Uri {}
impl Taken for Option<Extension<From>> {}

impl<T: JsonSchema> Taken for Body<T> {
    fn describe(operation: &mut Operation) {
        operation.body = Some(schema_of::<T>);
    }
}

impl<T: JsonSchema> Taken for Asked<T> {
    fn describe(operation: &mut Operation) {
        operation.query = Some(inline_of::<T>);
    }
}

impl Taken for TarBody {
    fn describe(operation: &mut Operation) {
        operation.takes_tar = true;
    }
}

impl Taken for Params {
    fn describe(operation: &mut Operation) {
        operation.params = true;
    }
}

impl Taken for IfMatch {
    fn describe(operation: &mut Operation) {
        operation.if_match = true;
    }
}

/// What a handler gives back.
pub(super) trait Answered {
    fn describe(operation: &mut Operation);
}

impl<T: Answered> Answered for Result<T, Problem> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

macro_rules! answered {
    ($($name:ident: [$(($status:literal, $tagged:literal $(, $none:ident)?)),*];)*) => {$(
        impl<T: JsonSchema> Answered for $name<T> {
            fn describe(operation: &mut Operation) {
                operation.answers = vec![$(($status, $tagged, answered!(@content T $($none)?))),*];
            }
        }
    )*};
    (@content $of:ident none) => { Content::None };
    (@content $of:ident) => { Content::Json(schema_of::<$of>) };
}

answered! {
    Json: [(200, false)];
    Private: [(200, false)];
    Resource: [(200, true)];
    Made: [(201, true), (204, false, none)];
    Removed: [(200, false), (204, false, none)];
    Begun: [(200, false), (201, true), (202, true)];
}

impl Answered for NoContent {
    fn describe(operation: &mut Operation) {
        operation.answers = vec![(204, false, Content::None)];
    }
}

impl<S: Stream<Item = Result<axum::response::sse::Event, Infallible>>> Answered for Sse<S> {
    fn describe(operation: &mut Operation) {
        operation.answers = vec![(200, false, Content::Events)];
    }
}

impl Answered for TarStream {
    fn describe(operation: &mut Operation) {
        operation.answers = vec![(200, false, Content::Tar)];
    }
}

/// A function that is a handler; `A` are its arguments.
pub(super) trait Signature<A> {
    fn describe() -> Operation;
}

macro_rules! signature {
    ($($argument:ident),*) => {
        impl<F, Fut, $($argument: Taken),*> Signature<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future,
            Fut::Output: Answered,
        {
            fn describe() -> Operation {
                let mut operation = Operation::default();
                $($argument::describe(&mut operation);)*
                <Fut::Output as Answered>::describe(&mut operation);
                operation
            }
        }
    };
}

signature!(A1);
signature!(A1, A2);
signature!(A1, A2, A3);
signature!(A1, A2, A3, A4);
signature!(A1, A2, A3, A4, A5);
signature!(A1, A2, A3, A4, A5, A6);
signature!(A1, A2, A3, A4, A5, A6, A7);

/// A handler for one method, with what it takes and answers.
pub(super) struct Described {
    pub routes: MethodRouter<AdminState>,
    pub operation: Operation,
}

macro_rules! methods {
    ($($name:ident: $filter:ident;)*) => {$(
        pub(super) fn $name<H, T, A>(handler: H) -> Described
        where
            H: Handler<T, AdminState> + Signature<A>,
            T: 'static,
        {
            Described { routes: on(MethodFilter::$filter, handler), operation: <H as Signature<A>>::describe() }
        }
    )*};
}

methods! {
    get: GET;
    post: POST;
    put: PUT;
    patch: PATCH;
    delete: DELETE;
}
