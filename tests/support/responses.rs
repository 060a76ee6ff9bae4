//! The answers of a token endpoint.

use oauth2_proto::Response;

/// A success with this JSON document.
pub fn json(body: &str) -> Response<'_> {
    Response::new(200, [("content-type", "application/json")], body.as_bytes())
}
