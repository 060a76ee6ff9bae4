//! The authorization server of the modules, with its API: it runs in this process, checks each request as the
//! suite does, and answers as its script says.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oauth2_proto::jose::{Algorithm, PublicKey, Signer, Verifier};
use oauth2_proto::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::signatures::{Key, Ring};
use crate::support::{REDIRECT_URI, now};

pub const ISSUER: &str = "https://as.example";
pub const ACCOUNTS: &str = "https://api.example/accounts";
pub const CLIENT_ID: &str = "fake-client";
pub const SECRET: &str = "fake-secret-of-at-least-32-bytes";
pub const USER: &str = "fake-user";

/// The address of the endpoints for clients with a certificate.
const MTLS: &str = "https://mtls.as.example";

/// What a server does. Each function changes an answer that is right without it.
pub struct Script {
    pub auth: Auth,
    /// Whether requests are pushed and tokens are bound to a key, as FAPI 2.0 has it.
    pub is_fapi: bool,
    /// Whether proofs need a nonce of the server.
    pub wants_nonces: bool,
    /// The scheme of the challenge that asks for a nonce.
    pub nonce_scheme: &'static str,
    /// The algorithm of everything that the server signs.
    pub algorithm: &'static str,
    pub metadata: fn(&mut Value),
    pub key_set: fn(&mut Value),
    pub header: fn(&mut Value),
    /// The parameters of an authorization response.
    pub callback: fn(&mut Value),
    /// The claims of a signed authorization response.
    pub signed_callback: fn(&mut Value),
    pub callback_signature: Signature,
    pub tokens: fn(&mut Value),
    pub id_token: fn(&mut Value),
    pub refreshed_id_token: fn(&mut Value),
    pub id_token_signature: Signature,
    pub userinfo: fn(&mut Value),
    /// How UserInfo is signed; `None` for an answer in JSON.
    pub userinfo_signature: Option<Signature>,
    /// How many refreshes the API waits for before it takes a token.
    pub refreshes_before_access: usize,
}

/// The way that the client authenticates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Basic,
    Certificate,
    Key,
}

/// How a token is signed.
#[derive(Clone, Copy)]
pub enum Signature {
    Sound,
    /// By the server's key, and changed afterwards.
    Changed,
    /// Not at all: the algorithm is `none`.
    Missing,
    /// By another algorithm, with a key of the server.
    Other(&'static str),
}

impl Script {
    /// A server that keeps to FAPI 2.0.
    pub fn fapi2() -> Self {
        Self {
            auth: Auth::Key,
            is_fapi: true,
            wants_nonces: true,
            nonce_scheme: "DPoP",
            algorithm: "ES256",
            metadata: |_| (),
            key_set: |_| (),
            header: |_| (),
            callback: |_| (),
            signed_callback: |_| (),
            callback_signature: Signature::Sound,
            tokens: |_| (),
            id_token: |_| (),
            refreshed_id_token: |_| (),
            id_token_signature: Signature::Sound,
            userinfo: |_| (),
            userinfo_signature: None,
            refreshes_before_access: 0,
        }
    }

    /// An OpenID provider whose clients have a secret.
    pub fn openid() -> Self {
        Self { auth: Auth::Basic, is_fapi: false, wants_nonces: false, algorithm: "RS256", ..Self::fapi2() }
    }
}

pub struct Server {
    pub script: Script,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The endpoints that were called, in order.
    calls: Vec<&'static str>,
    /// The parameters of the authorization request, until its reference is used.
    pushed: HashMap<String, String>,
    /// Those of the request that the code answers, until the code is used.
    asked: HashMap<String, String>,
    /// The number of the newest tokens.
    issued: usize,
    refreshes: usize,
    /// The thumbprint of the key that the tokens are bound to.
    bound_to: Option<String>,
    /// The identifiers of assertions and proofs, each of which is used once.
    ids: HashSet<String>,
    /// The nonce of the newest authentication request.
    nonce: Option<String>,
}

/// An answer of the server.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn response(&self) -> Response<'_> {
        let headers = self.headers.iter().map(|(name, value)| (*name, value));
        Response::new(self.status, headers, self.body.as_bytes())
    }
}

impl Server {
    pub fn new(script: Script) -> Self {
        Self { script, state: RefCell::default() }
    }

    /// Returns the endpoints that were called, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.state.borrow().calls.clone()
    }

    /// Answers a request to any endpoint.
    #[track_caller]
    pub fn answer(&self, request: &Request) -> Answer {
        let (host, path) = match request.url().split_once("example/") {
            Some((host, path)) => (format!("{host}example"), path),
            None => panic!("{} is no address of this server", request.url()),
        };
        let has_certificate = self.script.auth == Auth::Certificate;
        match path {
            "token" | "par" => assert_eq!(host, if has_certificate { MTLS } else { ISSUER }),
            "accounts" => assert_eq!(request.url(), ACCOUNTS),
            _ => assert_eq!(host, ISSUER),
        }
        let call = |name| self.state.borrow_mut().calls.push(name);
        match (request.method(), path) {
            ("GET", ".well-known/openid-configuration") => {
                call("discovery");
                Answer::json(200, &self.metadata())
            }
            ("GET", ".well-known/oauth-authorization-server") => Answer::json(404, &json!({})),
            ("GET", _) if self.metadata()["jwks_uri"] == request.url() => {
                call("keys");
                Answer::json(200, &self.key_set())
            }
            ("POST", "par") => {
                call("par");
                self.push(request)
            }
            ("POST", "token") => {
                call("token");
                self.token(request)
            }
            ("GET", "userinfo") => {
                call("userinfo");
                self.userinfo(request)
            }
            ("GET", "accounts") => {
                call("accounts");
                self.accounts(request)
            }
            (method, _) => panic!("there is no {method} {}", request.url()),
        }
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/authorize"),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/keys"),
            "userinfo_endpoint": format!("{ISSUER}/userinfo"),
            "end_session_endpoint": format!("{ISSUER}/logout"),
            "mtls_endpoint_aliases": {
                "token_endpoint": format!("{MTLS}/token"),
                "pushed_authorization_request_endpoint": format!("{MTLS}/par"),
            },
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post", "jwt"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "scopes_supported": ["openid"],
            "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": [self.script.algorithm],
            "authorization_signing_alg_values_supported": [self.script.algorithm],
            "userinfo_signing_alg_values_supported": [self.script.algorithm],
        });
        let methods = match self.script.auth {
            Auth::Basic => "client_secret_basic",
            Auth::Certificate => "tls_client_auth",
            Auth::Key => "private_key_jwt",
        };
        metadata["token_endpoint_auth_methods_supported"] = json!([methods]);
        if self.script.is_fapi {
            let algorithms = json!(["PS256", "ES256", "EdDSA"]);
            metadata["token_endpoint_auth_signing_alg_values_supported"] = algorithms.clone();
            metadata["dpop_signing_alg_values_supported"] = algorithms;
            metadata["pushed_authorization_request_endpoint"] = json!(format!("{ISSUER}/par"));
            metadata["require_pushed_authorization_requests"] = json!(true);
            metadata["authorization_response_iss_parameter_supported"] = json!(true);
        }
        (self.script.metadata)(&mut metadata);
        metadata
    }

    fn key_set(&self) -> Value {
        let mut set = json!({"keys": [
            jwk(&server_key("ES256"), "fake-p256"),
            jwk(&server_key("RS256"), "fake-rsa"),
        ]});
        (self.script.key_set)(&mut set);
        set
    }

    /// Takes a pushed request (RFC 9126).
    #[track_caller]
    fn push(&self, request: &Request) -> Answer {
        let mut form: HashMap<_, _> = request.form().into_iter().collect();
        self.check_client(request, &form);
        assert!(!form.contains_key("request_uri"), "a reference is not pushed");
        form.retain(|name, _| !name.starts_with("client_assertion"));
        self.state.borrow_mut().pushed = form;
        Answer::json(201, &json!({"request_uri": REQUEST_URI, "expires_in": 60}))
    }

    /// Takes the browser, and returns what it brings to the redirect URI: a query, or a form.
    #[track_caller]
    pub fn authorize(&self, url: &str) -> String {
        let mut state = self.state.borrow_mut();
        state.calls.push("authorize");
        let url = Url::parse(url).unwrap();
        assert_eq!(url.as_str().split('?').next().unwrap(), format!("{ISSUER}/authorize"));
        let mut asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        if self.script.is_fapi {
            let reference = HashMap::from([
                ("client_id".to_owned(), CLIENT_ID.to_owned()),
                ("request_uri".to_owned(), REQUEST_URI.to_owned()),
            ]);
            assert_eq!(asked, reference, "the browser brings a reference only");
            asked = std::mem::take(&mut state.pushed);
        }
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["redirect_uri"], REDIRECT_URI);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        assert!(asked["state"].len() >= 43 && asked["nonce"].len() >= 43, "they are hard to guess");
        state.nonce = Some(asked["nonce"].clone());
        let is_signed = asked.get("response_mode").is_some_and(|mode| mode.ends_with("jwt"));
        let must_not_ask = asked.get("prompt").is_some_and(|prompt| prompt == "none");
        let mut callback = json!({"state": asked["state"]});
        match must_not_ask {
            true => callback["error"] = json!("login_required"),
            false => callback["code"] = json!(CODE),
        }
        state.asked = asked;
        if is_signed {
            let more = json!({"iss": ISSUER, "aud": CLIENT_ID, "exp": seconds() + 600});
            callback.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            (self.script.signed_callback)(&mut callback);
            callback = json!({"response": self.sign(&callback, self.script.callback_signature)});
        } else if self.script.is_fapi {
            callback["iss"] = json!(ISSUER);
        }
        (self.script.callback)(&mut callback);
        let pairs = callback.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    #[track_caller]
    fn token(&self, request: &Request) -> Answer {
        let form: HashMap<_, _> = request.form().into_iter().collect();
        self.check_client(request, &form);
        if self.script.is_fapi {
            match self.proven(request, None) {
                Some(thumbprint) => {
                    let mut state = self.state.borrow_mut();
                    let bound_to = state.bound_to.get_or_insert_with(|| thumbprint.clone());
                    assert_eq!(*bound_to, thumbprint, "one key for all tokens");
                }
                None => {
                    let error = json!({"error": "use_dpop_nonce"});
                    return Answer::json(400, &error).with("dpop-nonce", TOKEN_NONCE);
                }
            }
        }
        let mut state = self.state.borrow_mut();
        match form["grant_type"].as_str() {
            "authorization_code" => {
                assert_eq!(form["code"], CODE);
                let asked = std::mem::take(&mut state.asked);
                assert_eq!(Some(&form["redirect_uri"]), asked.get("redirect_uri"), "a code is used once");
                assert_eq!(part(Sha256::digest(&form["code_verifier"])), asked["code_challenge"]);
            }
            "refresh_token" => {
                let newest = format!("fake-refresh-{}", state.issued);
                assert_eq!(form["refresh_token"], newest, "a replaced refresh token came back");
                state.refreshes += 1;
            }
            other => panic!("{other} is no grant of these modules"),
        }
        state.issued += 1;
        let mut tokens = json!({
            "access_token": format!("fake-access-{}", state.issued),
            "token_type": if self.script.is_fapi { "DPoP" } else { "Bearer" },
            "expires_in": 300,
            "refresh_token": format!("fake-refresh-{}", state.issued),
        });
        let access_token = tokens["access_token"].as_str().unwrap();
        let digest = Sha256::digest(access_token);
        let mut claims = json!({
            "iss": ISSUER, "sub": USER, "aud": CLIENT_ID, "exp": seconds() + 300, "iat": seconds(),
            "nonce": state.nonce, "at_hash": part(&digest[..16]), "auth_time": seconds(),
        });
        match state.refreshes {
            0 => (self.script.id_token)(&mut claims),
            _ => (self.script.refreshed_id_token)(&mut claims),
        }
        tokens["id_token"] = json!(self.sign(&claims, self.script.id_token_signature));
        (self.script.tokens)(&mut tokens);
        Answer::json(200, &tokens)
    }

    /// Checks the client authentication (OpenID Connect Core §9, FAPI 2.0 Security Profile §5.3.3.1).
    #[track_caller]
    fn check_client(&self, request: &Request, form: &HashMap<String, String>) {
        let header = request.header("authorization");
        let assertion = form.get("client_assertion");
        assert!(!form.contains_key("client_secret"));
        match self.script.auth {
            Auth::Basic => {
                let credentials = STANDARD.encode(format!("{CLIENT_ID}:{SECRET}"));
                assert_eq!(header, Some(format!("Basic {credentials}").as_str()));
                assert_eq!(assertion, None, "one authentication for each request");
            }
            Auth::Certificate => {
                assert_eq!((header, assertion), (None, None));
                assert_eq!(form["client_id"], CLIENT_ID);
            }
            Auth::Key => {
                assert_eq!(header, None, "one authentication for each request");
                let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                assert_eq!(form["client_assertion_type"], jwt_bearer);
                let claims = verified(assertion.unwrap(), client_key().public_key()).1;
                assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
                assert_eq!(claims["aud"], ISSUER, "the audience is the issuer, and a text");
                assert!(claims["exp"].as_u64().unwrap() > seconds());
                self.check_once(&claims["jti"]);
            }
        }
    }

    /// Checks the proof of a request (RFC 9449 §4.3). Returns the thumbprint of its key; `None` if it needs the
    /// nonce of the server.
    #[track_caller]
    fn proven(&self, request: &Request, access_token: Option<&str>) -> Option<String> {
        let proof = request.header("dpop").expect("there is no proof");
        let (header, _) = decoded(proof);
        let key = PublicKey::from_jwk(&header["jwk"].to_string()).unwrap();
        let (_, claims) = verified(proof, &key);
        assert_eq!(header["typ"], "dpop+jwt");
        assert_eq!((&claims["htm"], &claims["htu"]), (&json!(request.method()), &json!(request.url())));
        let age = claims["iat"].as_u64().unwrap() - seconds();
        assert!(age < 60, "the proof is {age} s from the future");
        assert_eq!(claims["ath"], json!(access_token.map(|token| part(Sha256::digest(token)))));
        self.check_once(&claims["jti"]);
        let nonce = match (self.script.wants_nonces, access_token) {
            (false, _) => Value::Null,
            (true, None) => json!(TOKEN_NONCE),
            (true, Some(_)) => json!(API_NONCE),
        };
        (claims["nonce"] == nonce).then(|| key.thumbprint())
    }

    #[track_caller]
    fn check_once(&self, id: &Value) {
        let is_new = self.state.borrow_mut().ids.insert(id.as_str().unwrap().to_owned());
        assert!(is_new, "{id} came twice");
    }

    /// Answers as an API that takes tokens which are bound to a key.
    #[track_caller]
    fn accounts(&self, request: &Request) -> Answer {
        let token = request.header("authorization").and_then(|header| header.strip_prefix("DPoP "));
        let token = token.expect("there is no bound token");
        let Some(thumbprint) = self.proven(request, Some(token)) else {
            let challenge = format!("{} error=\"use_dpop_nonce\"", self.script.nonce_scheme);
            return Answer::json(401, &json!({}))
                .with("www-authenticate", challenge)
                .with("dpop-nonce", API_NONCE);
        };
        let state = self.state.borrow();
        assert_eq!(Some(thumbprint), state.bound_to);
        assert_eq!(token, format!("fake-access-{}", state.issued));
        if state.refreshes < self.script.refreshes_before_access {
            let challenge =
                r#"Bearer realm="fake-api", error="invalid_token", error_description="Refresh it""#;
            return Answer::json(401, &json!({})).with("www-authenticate", challenge);
        }
        Answer::json(200, &json!({"accounts": []}))
    }

    #[track_caller]
    fn userinfo(&self, request: &Request) -> Answer {
        let token = format!("Bearer fake-access-{}", self.state.borrow().issued);
        assert_eq!(request.header("authorization"), Some(token.as_str()));
        assert_eq!(request.body(), "");
        let mut claims = json!({"sub": USER, "name": "Fake User"});
        (self.script.userinfo)(&mut claims);
        match self.script.userinfo_signature {
            Some(signature) => {
                let headers = vec![("content-type", "application/jwt".to_owned())];
                Answer { status: 200, headers, body: self.sign(&claims, signature) }
            }
            None => Answer::json(200, &claims),
        }
    }

    /// Signs claims.
    #[track_caller]
    pub fn sign(&self, claims: &Value, how: Signature) -> String {
        let algorithm = match how {
            Signature::Missing => "none",
            Signature::Other(algorithm) => algorithm,
            Signature::Sound | Signature::Changed => self.script.algorithm,
        };
        let mut header = match algorithm {
            "none" | "HS256" => json!({"alg": algorithm}),
            "ES256" => json!({"alg": algorithm, "kid": "fake-p256"}),
            _ => json!({"alg": algorithm, "kid": "fake-rsa"}),
        };
        (self.script.header)(&mut header);
        let message = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let mut signature = match algorithm {
            "none" => Vec::new(),
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
                ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            _ => server_key(algorithm).sign(message.as_bytes()).unwrap(),
        };
        if let Signature::Changed = how {
            signature.iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        format!("{message}.{}", part(signature))
    }
}

/// The code of each authorization; the server takes it once.
const CODE: &str = "fake-code";

const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:fake";

/// The nonces for proofs at the token endpoint and at the API.
const TOKEN_NONCE: &str = "fake-nonce-of-the-server";
const API_NONCE: &str = "fake-nonce-of-the-api";

/// The key that the server signs with.
#[track_caller]
fn server_key(algorithm: &str) -> Key {
    let algorithm = Algorithm::from_name(algorithm).unwrap();
    let pem = match algorithm {
        Algorithm::ES256 => include_str!("../keys/pem/p256.pkcs8.pem"),
        _ => include_str!("../keys/pem/rsa.pkcs8.pem"),
    };
    Key::from_pem(pem, algorithm).unwrap_or_else(|error| panic!("{error:?}"))
}

/// The key that the client authenticates with.
#[track_caller]
pub fn client_key() -> Key {
    let jwk = include_str!("../servers/keys/client.jwk.json");
    Key::from_jwk(jwk).unwrap_or_else(|error| panic!("{error:?}"))
}

/// The public part of a key as the server publishes it.
fn jwk(key: &Key, key_id: &str) -> Value {
    let key = key.public_key();
    let mut jwk = json!({"kty": key.key_type(), "kid": key_id, "use": "sig"});
    if key.key_type() == "EC" {
        jwk["crv"] = json!("P-256");
    }
    for name in ["n", "e", "x", "y"] {
        if let Some(value) = key.member(name) {
            jwk[name] = json!(part(value));
        }
    }
    jwk
}

/// The header and the claims of a token that this key has signed.
#[track_caller]
fn verified(token: &str, key: &PublicKey) -> (Value, Value) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = decoded(token);
    let algorithm = Algorithm::from_name(header["alg"].as_str().unwrap()).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(Ring.verifies(algorithm, key, message.as_bytes(), &signature), "the signature is wrong");
    (header, claims)
}

#[track_caller]
fn decoded(token: &str) -> (Value, Value) {
    let part = |index| {
        let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
        serde_json::from_slice(&part).unwrap()
    };
    (part(0), part(1))
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The time of the modules in seconds of Unix time.
pub fn seconds() -> u64 {
    now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
