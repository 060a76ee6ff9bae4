//! Clients that authenticate with keys and certificates, at every endpoint that asks for it.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::call::Readable;
use oauth2_proto::client_auth::Audience;
use oauth2_proto::dpop::DpopKey;
use oauth2_proto::jose::{Signer, SignerError, SigningKey, Unsigned};
use oauth2_proto::{Advice, AuthorizationServer, Call, Client, ClientAuth, Error, Response, TokenResponse};

use super::discovery::{discover, issuer};
use super::{Flow, authorize, check, dpop, receive, refresh, refused, send};
use crate::browser::Browser;
use crate::foreign::Facts;
use crate::keys::{self, Key, Presents, client_key, client_signer, dpop_signer};

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "`private_key_jwt`",
        is_offered: |facts| facts.wider.keys.private_key_jwt.is_some(),
        run: private_key_jwt,
    },
    Flow {
        title: "the keys of a client sign elsewhere",
        is_offered: |facts| facts.wider.keys.private_key_jwt.is_some(),
        run: remote_keys,
    },
    Flow {
        title: "`client_secret_jwt`",
        is_offered: |facts| facts.wider.keys.client_secret_jwt.is_some(),
        run: client_secret_jwt,
    },
    Flow {
        title: "`tls_client_auth`",
        is_offered: |facts| facts.wider.keys.tls_client_auth.is_some(),
        run: tls_client_auth,
    },
    Flow {
        title: "`self_signed_tls_client_auth`",
        is_offered: |facts| facts.wider.keys.self_signed_tls_client_auth.is_some(),
        run: self_signed_tls_client_auth,
    },
];

/// RFC 7523 §3: an assertion names its server, and works once.
fn private_key_jwt(facts: &Facts) -> Result<(), Failed> {
    let client_id = facts.wider.keys.private_key_jwt.as_deref().ok_or("there is no such client")?;
    let client = |server, audience| {
        let auth = ClientAuth::private_key_jwt(client_key()?).assertion_audience(audience);
        Ok::<_, Failed>(Client::new(server, client_id, auth)?)
    };
    let server = discover(issuer(facts)?)?;
    for audience in [Audience::Issuer, Audience::TokenEndpoint] {
        use_every_endpoint(&client(server.clone(), audience)?, facts, None)?;
    }

    let client_of_server = client(server, Audience::Issuer)?;
    let nobody = "fake-token-of-nobody".into();
    let mut call = client_of_server.revoke(&nobody).start(SystemTime::now())?;
    send(&call)?;
    refused(send(&call), "invalid_client", Advice::FixConfiguration)?;
    call.renew(&client_of_server, SystemTime::now())?;
    send(&call)?;

    let other = AuthorizationServer::new(&facts.authorization_endpoint, &facts.token_endpoint)?;
    let client = client(other.issuer("https://other.example")?, Audience::Issuer)?;
    refused(
        send(&client.refresh(&nobody).start(SystemTime::now())?),
        "invalid_client",
        Advice::FixConfiguration,
    )
}

/// The client for each request gets its signatures from outside: of the assertion, and of the proof where the
/// server knows proofs.
fn remote_keys(facts: &Facts) -> Result<(), Failed> {
    let remote = Remote::of(facts)?;
    let tokens = remote.tokens(facts)?;
    check(refresh(&remote.client, &tokens).is_err(), "there is a request without signatures")?;
    send(&refresh(&remote.signed()?, &tokens)?).map(drop).map_err(Failed::from)
}

/// A client whose keys sign elsewhere, and what signs there.
pub struct Remote {
    pub client: Client,
    signers: [Key; 2],
}

impl Remote {
    pub fn of(facts: &Facts) -> Result<Self, Failed> {
        let client_id = facts.wider.keys.private_key_jwt.as_deref().ok_or("there is no such client")?;
        let signers = [client_signer()?, dpop_signer()?];
        let [key, proof_key] = signers
            .each_ref()
            .map(|signer| SigningKey::remote(signer.algorithm(), signer.public_key().clone()));
        let auth = ClientAuth::private_key_jwt(key?);
        let mut client = Client::new(discover(issuer(facts)?)?, client_id, auth)?;
        if facts.wider.keys.dpop.is_some() {
            client = client.dpop(DpopKey::new(proof_key?));
        }
        Ok(Self { client, signers })
    }

    pub fn sign(&self, unsigned: &Unsigned) -> Result<Vec<u8>, SignerError> {
        let algorithm = unsigned.key().algorithm();
        let signer = self.signers.iter().find(|signer| signer.algorithm() == algorithm);
        signer.ok_or("there is no such key")?.sign(unsigned.message())
    }

    /// The tokens of a sign-in, for the resource.
    pub fn tokens(&self, facts: &Facts) -> Result<TokenResponse, Failed> {
        let mut call = dpop::exchange(&self.signed()?, facts)?;
        match send(&call) {
            Err(error) if error.code() == Some("use_dpop_nonce") => {
                call.renew(&self.signed()?, SystemTime::now())?;
                Ok(send(&call)?)
            }
            result => Ok(result?),
        }
    }

    /// The client with the signatures of one request.
    fn signed(&self) -> Result<Client, Failed> {
        let mut signing = self.client.signing(SystemTime::now())?;
        while let Some(unsigned) = signing.next() {
            let signature = self.sign(unsigned)?;
            signing.signed(&signature)?;
        }
        Ok(signing.client()?)
    }
}

/// OpenID Connect Core §9.
fn client_secret_jwt(facts: &Facts) -> Result<(), Failed> {
    let known = facts.wider.keys.client_secret_jwt.as_ref().ok_or("there is no such client")?;
    let server = discover(issuer(facts)?)?;
    let client =
        |secret: &str| Client::new(server.clone(), known.id.as_str(), ClientAuth::client_secret_jwt(secret)?);
    use_every_endpoint(&client(&known.secret)?, facts, None)?;
    let wrong = client("fake-wrong-secret-with-more-than-32-bytes")?;
    let call = wrong.refresh(&"fake-token-of-nobody".into()).start(SystemTime::now())?;
    refused(send(&call), "invalid_client", Advice::FixConfiguration)
}

/// RFC 8705 §2.1: a certificate of the authority that names the client, and no other.
fn tls_client_auth(facts: &Facts) -> Result<(), Failed> {
    let client_id = facts.wider.keys.tls_client_auth.as_deref().ok_or("there is no such client")?;
    let client = Client::new(discover(issuer(facts)?)?, client_id, ClientAuth::tls_client_auth())?;
    certificate_counts(&client, facts, Presents::Client, [Presents::Nothing, Presents::SelfSigned])
}

/// RFC 8705 §2.2: the registered certificate, and no other.
fn self_signed_tls_client_auth(facts: &Facts) -> Result<(), Failed> {
    let client_id =
        facts.wider.keys.self_signed_tls_client_auth.as_deref().ok_or("there is no such client")?;
    let auth = ClientAuth::self_signed_tls_client_auth();
    let client = Client::new(discover(issuer(facts)?)?, client_id, auth)?;
    certificate_counts(&client, facts, Presents::SelfSigned, [Presents::Nothing, Presents::Client])
}

fn certificate_counts(
    client: &Client,
    facts: &Facts,
    right: Presents,
    wrong: [Presents; 2],
) -> Result<(), Failed> {
    use_every_endpoint(client, facts, Some(right))?;
    for presents in wrong {
        let call = client.refresh(&"fake-token-of-nobody".into()).start(SystemTime::now())?;
        refused(send_with(&call, Some(presents))?, "invalid_client", Advice::FixConfiguration)?;
    }
    Ok(())
}

/// Sends a request to each endpoint at which a client authenticates; over TLS, where a certificate may count.
fn use_every_endpoint(client: &Client, facts: &Facts, presents: Option<Presents>) -> Result<(), Failed> {
    let now = SystemTime::now;
    let (url, mut pending) = authorize(client, facts)?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    let tokens = send_with(&receive(client, &mut pending, &callback)?, presents)??;
    let tokens = send_with(&refresh(client, &tokens)?, presents)??;
    if facts.device_authorization_endpoint.is_some() {
        send_with(&client.device_authorization().scopes(&facts.scopes).start(now())?, presents)??;
    }
    let is_active = || -> Result<Option<bool>, Failed> {
        if facts.introspection_endpoint.is_none() {
            return Ok(None);
        }
        let call = client.introspect(tokens.access_token()).start(now())?;
        Ok(Some(send_with(&call, presents)??.is_active()))
    };
    check(is_active()? != Some(false), "the access token is not active")?;
    send_with(&client.revoke(tokens.access_token()).start(now())?, presents)??;
    check(is_active()? != Some(true), "a revoked token is active")
}

/// Sends a request of a client, over TLS if a certificate may count.
pub fn send_with<R: Readable>(
    call: &Call<R>,
    presents: Option<Presents>,
) -> Result<Result<R::Output, Error>, Failed> {
    let Some(presents) = presents else { return Ok(send(call)) };
    let (status, headers, body) = keys::send_over_tls(call.request(), presents)?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
    Ok(call.read(Response::new(status, headers, &body)))
}
