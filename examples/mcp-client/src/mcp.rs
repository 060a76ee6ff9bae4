//! MCP over HTTP: one JSON-RPC message in each POST, and its answer as JSON or as an event of a stream.

use oauth2_proto::Request;
use serde_json::{Value, json};

use crate::Failure;
use crate::access::Authorization;
use crate::arguments::Settings;
use crate::http::{self, Answer};

/// A connection to one MCP server.
pub struct Connection<'a> {
    url: &'a str,
    /// The version of MCP, which the server may lower in the handshake.
    protocol: String,
    /// The session that the server began in the handshake.
    session_id: Option<String>,
    last_id: u64,
}

impl<'a> Connection<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self { url: &settings.url, protocol: settings.protocol.clone(), session_id: None, last_id: 0 }
    }

    /// Returns whether the version begins with `initialize`. Since 2026-07-28 each request stands alone.
    pub fn has_handshake(&self) -> bool {
        self.protocol.as_str() < STATELESS
    }

    /// Returns the parameters of `initialize`.
    pub fn hello(&self) -> Value {
        json!({"protocolVersion": self.protocol, "capabilities": {}, "clientInfo": client_info()})
    }

    /// Takes the server's version of MCP from its answer to `initialize`.
    pub fn agree(&mut self, hello: &Value) {
        if let Some(version) = hello["protocolVersion"].as_str() {
            self.protocol = version.to_owned();
        }
    }

    /// Sends a request, or a notification if its name says so.
    pub fn send(
        &mut self,
        method: &str,
        params: &Value,
        authorization: Option<&Authorization>,
    ) -> Result<Answer, Failure> {
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if !method.starts_with("notifications/") {
            self.last_id += 1;
            message["id"] = self.last_id.into();
        }
        let mut request = Request::new("POST", self.url);
        request.set_header("content-type", "application/json");
        request.set_header("accept", "application/json, text/event-stream");
        request.set_header("mcp-protocol-version", self.protocol.as_str());
        if !self.has_handshake() {
            request.set_header("mcp-method", method);
            if let Some(name) = params["name"].as_str() {
                request.set_header("mcp-name", name);
            }
            message["params"]["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.protocol,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": client_info(),
            });
        }
        if let Some(id) = &self.session_id {
            request.set_header("mcp-session-id", id.as_str());
        }
        if let Some(authorization) = authorization {
            authorization.add_to(&mut request)?;
        }
        request.set_body(message.to_string());
        let answer = http::send(&request)?;
        if let Some(id) = answer.header("mcp-session-id") {
            self.session_id = Some(id.to_owned());
        }
        Ok(answer)
    }

    /// Reads the result of the last request; null for a notification.
    pub fn read(&self, answer: &Answer) -> Result<Value, Failure> {
        if answer.status() == 202 {
            return Ok(Value::Null);
        }
        let body = String::from_utf8_lossy(answer.body());
        let is_stream =
            answer.header("content-type").is_some_and(|label| label.starts_with("text/event-stream"));
        let messages = match is_stream {
            true => events(&body),
            false => vec![body.into_owned()],
        };
        let messages = messages.iter().filter_map(|message| serde_json::from_str::<Value>(message).ok());
        let mut answers = messages.filter(|message| message["id"] == self.last_id);
        match answers.next() {
            Some(message) if message["error"].is_object() => {
                Err(format!("the server reports an error: {}", message["error"]).into())
            }
            Some(mut message) => Ok(message["result"].take()),
            None => Err(format!("status {} without an answer in JSON-RPC", answer.status()).into()),
        }
    }
}

/// Returns the data of each event in a stream that has ended.
fn events(stream: &str) -> Vec<String> {
    let mut events = vec![String::new()];
    for line in stream.lines() {
        match (line.strip_prefix("data:"), events.last_mut()) {
            (Some(data), Some(event)) => event.push_str(data),
            _ if line.is_empty() => events.push(String::new()),
            _ => {}
        }
    }
    events
}

fn client_info() -> Value {
    json!({"name": "oauth2-proto mcp-client", "version": env!("CARGO_PKG_VERSION")})
}

/// The first version in which each request stands alone.
const STATELESS: &str = "2026-07-28";
