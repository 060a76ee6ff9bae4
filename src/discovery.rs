//! The metadata that authorization servers and protected resources publish (RFC 8414, OpenID Connect
//! Discovery, RFC 9728).
//!
//! - [`ServerDiscovery`] finds an [`AuthorizationServer`](crate::AuthorizationServer) by its issuer.
//! - [`ResourceDiscovery`] finds a [`ProtectedResource`] by its URL or by the challenge of a 401; the
//!   resource names the issuers of its authorization servers.
//! - [`Metadata`] shows what an [`AuthorizationServer`](crate::AuthorizationServer) says about itself.
//!
//! A discovery does no I/O. It returns the call for one address; after an error it goes on to the next one.
//!
//! # From the 401 of an API to its header
//!
//! These are the steps of an MCP client. At a server that does not know the program,
//! [`registration`](crate::registration) comes before step 3.
//!
//! ```
//! use oauth2_proto::challenge::{Challenge, Challenges, ProtectedApi};
//! use oauth2_proto::discovery::{ResourceDiscovery, ServerDiscovery};
//! use oauth2_proto::{Client, ClientAuth, Request, Response};
//!
//! # use oauth2_proto::{Entropy, TokenResponse};
//! # fn main() -> Result<(), oauth2_proto::Error> {
//! // Your HTTP client; here, the answers of two servers.
//! let send = |request: &Request| {
//!     let json = [("content-type", "application/json")];
//!     let body: &[u8] = match request.url() {
//!         "https://api.example/.well-known/oauth-protected-resource/mcp" => {
//!             br#"{"resource":"https://api.example/mcp",
//!                 "authorization_servers":["https://as.example/tenant"],
//!                 "scopes_supported":["files:read"]}"#
//!         }
//!         "https://as.example/.well-known/openid-configuration/tenant" => {
//!             br#"{"issuer":"https://as.example/tenant",
//!                 "authorization_endpoint":"https://as.example/authorize",
//!                 "token_endpoint":"https://as.example/token",
//!                 "response_types_supported":["code"],
//!                 "code_challenge_methods_supported":["S256"]}"#
//!         }
//!         _ => return Response::new(404, json, b""),
//!     };
//!     Response::new(200, json, body)
//! };
//!
//! // 1. The API answered 401, with a challenge or without one. Read the API's metadata.
//! let url = "https://api.example/mcp";
//! let headers = [("www-authenticate", r#"Bearer scope="files:read files:write""#)];
//! let challenges = Challenges::from_headers(headers);
//! let challenge = challenges.bearer();
//! let named = challenge.and_then(Challenge::resource_metadata);
//! let mut discovery = ResourceDiscovery::from_challenge(url, named)?;
//! let resource = loop {
//!     let call = discovery.call();
//!     match call.read(send(call.request())) {
//!         Ok(resource) => break resource,
//!         Err(error) => discovery.next_address(error)?,
//!     }
//! };
//!
//! // 2. Choose one of its authorization servers, and read its metadata.
//! let issuer = resource.authorization_servers().next().unwrap();
//! let mut discovery = ServerDiscovery::new(issuer)?.require_pkce_announced();
//! let server = loop {
//!     let call = discovery.call();
//!     match call.read(send(call.request())) {
//!         Ok(server) => break server,
//!         Err(error) => discovery.next_address(error)?,
//!     }
//! };
//!
//! // 3. Sign the user in, for this resource: with the scopes that the challenge names, or
//! //    else those that the metadata does. MCP wants the resource in refreshes, too.
//! let server = server.refresh_repeats_resources();
//! let client = Client::new(server, "client-id", ClientAuth::none())?;
//! let mut scopes: Vec<&str> = challenge.into_iter().flat_map(Challenge::scopes).collect();
//! if scopes.is_empty() {
//!     scopes.extend(resource.scopes_supported().into_iter().flatten());
//! }
//! let request = client
//!     .authorize("https://app.example/callback")
//!     .scopes(scopes)
//!     .resource(resource.resource());
//! # let now = std::time::SystemTime::UNIX_EPOCH;
//! # let (at, _pending) = request.start_with(Entropy::from_bytes([1; 128]), now)?;
//! # assert!(at.starts_with("https://as.example/authorize?"));
//! # assert!(at.contains("scope=files%3Aread+files%3Awrite&"));
//! # assert!(at.contains("resource=https%3A%2F%2Fapi.example%2Fmcp"));
//! # let json = r#"{"access_token":"fake-1","token_type":"Bearer"}"#;
//! # let tokens = TokenResponse::for_test(&client, json)?;
//!
//! // 4. After the sign-in, send the token to this resource, and to nothing else.
//! let api = ProtectedApi::new([resource.resource()])?;
//! let header = api.authorization(tokens.token_type(), tokens.access_token(), url)?;
//! assert_eq!(header.expose(), "Bearer fake-1");
//! # Ok(())
//! # }
//! ```
//!
//! # A resource that moves to another server
//!
//! What one server issued is never sent to another server: a
//! [`PendingAuthorization`](crate::PendingAuthorization) accepts only the client that started it (issuer,
//! endpoints and `client_id`), and a [`Session`](crate::Session) only a client with the token endpoint and
//! the `client_id` that its tokens are from. Keep the `client_id` and the secret with the issuer that gave
//! them, and use them in clients of this issuer only.

mod addresses;
mod document;
mod metadata;
mod resource;
mod server;
mod stored;

pub use self::metadata::Metadata;
pub use self::resource::{ProtectedResource, ResourceDiscovery, ResourceMetadata};
pub use self::server::{ServerDiscovery, ServerMetadata};
