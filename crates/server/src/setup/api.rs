//! The administration API as the setup asks it: through the node's own socket, as the command line does. So the setup
//! can do nothing that an administrator could not, and what it did is in the record of administration.

use std::path::Path;

use hyper::Method;
use serde_json::Value;
use sterna_web::setup::door::Refusal;

use crate::cli::client::{CliError, Client, path};

/// The API.
pub struct Api(Client);

/// Why it was not done.
pub enum ApiError {
    /// It is there already; the path of what is.
    Taken(String, Refusal),
    /// There is none.
    Missing(Refusal),
    /// Something else.
    Other(Refusal),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Taken(_, refusal) | ApiError::Missing(refusal) | ApiError::Other(refusal) => refusal,
        }
    }
}

impl From<CliError> for ApiError {
    fn from(error: CliError) -> Self {
        let remedy = error.remedy().unwrap_or_else(|| "Look at the node's log.".to_owned());
        let problem = match error {
            CliError::Refused(problem) => problem,
            other => return ApiError::Other(Refusal::new("api", other.to_string(), remedy)),
        };
        let refusal = Refusal::new(&problem.code, problem.detail.clone(), remedy);
        match problem.existing {
            Some(existing) => ApiError::Taken(existing, refusal),
            None if problem.status == 404 => ApiError::Missing(refusal),
            None => ApiError::Other(refusal),
        }
    }
}

impl Api {
    /// At this socket.
    pub fn new(socket: &Path) -> Self {
        Api(Client::new(socket))
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// [`ApiError`]; the same holds for the other methods.
    pub async fn get(&self, segments: &[&str], parameters: &[(&str, Option<&str>)]) -> Result<Value, ApiError> {
        Ok(self.0.get(&path(segments, parameters)).await?)
    }

    /// Makes a resource.
    pub async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, ApiError> {
        Ok(self.0.send(Method::POST, &path(segments, &[]), Some(body)).await?.body)
    }

    /// Makes a resource what is said.
    pub async fn put(&self, segments: &[&str], body: &Value) -> Result<Value, ApiError> {
        Ok(self.0.send(Method::PUT, &path(segments, &[]), Some(body)).await?.body)
    }

    /// Deletes a resource.
    pub async fn delete(&self, segments: &[&str]) -> Result<(), ApiError> {
        self.0.send(Method::DELETE, &path(segments, &[]), None).await?;
        Ok(())
    }

    /// Changes a resource.
    pub async fn patch(&self, segments: &[&str], body: &Value) -> Result<Value, ApiError> {
        Ok(self.0.send(Method::PATCH, &path(segments, &[]), Some(body)).await?.body)
    }
}
