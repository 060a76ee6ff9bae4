//! Requests whose signatures are made elsewhere, in two steps.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::client::Client;
use crate::client_auth::Assertion;
use crate::error::Error;
use crate::jose::{self, SignerError, Unsigned};
use crate::text::secret::Secret;

impl Client {
    /// Begins the signatures for one request of a client whose key signs elsewhere, for example in a key
    /// management service behind async code.
    ///
    /// ```
    /// use oauth2_proto::{AuthorizationServer, Client, ClientAuth};
    /// use oauth2_proto::jose::{Algorithm, PublicKey, SigningKey};
    /// use std::time::SystemTime;
    ///
    /// # async fn kms_signs(_: &[u8]) -> Result<Vec<u8>, oauth2_proto::Error> { Ok(vec![7; 64]) }
    /// # async fn example(public_key: PublicKey) -> Result<(), oauth2_proto::Error> {
    /// let server =
    ///     AuthorizationServer::without_authorization_endpoint("https://as.example/token")?
    ///         .issuer("https://as.example")?;
    /// let key = SigningKey::remote(Algorithm::ES256, public_key)?;
    /// let client = Client::new(server, "client-id", ClientAuth::private_key_jwt(key))?;
    ///
    /// let now = SystemTime::now();
    /// let mut signing = client.signing(now)?;
    /// while let Some(unsigned) = signing.next() {
    ///     let signature = kms_signs(unsigned.message()).await?;
    ///     signing.signed(&signature)?;
    /// }
    /// let call = signing.client()?.client_credentials().start(now)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Keys that sign in this process sign here at once, and are not asked for. A client without keys has
    /// nothing to sign.
    ///
    /// Whatever makes a request (each `start`, [`PendingAuthorization::receive`], [`PendingDevice::send`],
    /// [`Session::send`], [`Call::renew`]) refuses a client whose signature is missing or was used, and
    /// changes nothing: call it again with a signed client. A [keeper](crate::keeper) asks its `Runtime` to
    /// sign.
    ///
    /// [`PendingAuthorization::receive`]: crate::PendingAuthorization::receive
    /// [`PendingDevice::send`]: crate::grants::device::PendingDevice::send
    /// [`Session::send`]: crate::Session::send
    /// [`Call::renew`]: crate::Call::renew
    ///
    /// # Errors
    ///
    /// Misuse: a signer in this process failed, or the server does not list the algorithm of the key for
    /// proofs. Nothing was made; call it again.
    pub fn signing(&self, now: SystemTime) -> Result<Signing, Error> {
        let mut signing = self.unsigned(now)?;
        signing.sign_here().map_err(jose::signer_failed)?;
        Ok(signing)
    }

    /// Begins the signatures for one request, and makes none.
    pub(crate) fn unsigned(&self, now: SystemTime) -> Result<Signing, Error> {
        let mut signing = Signing { client: Box::new(self.clone()), at: now, assertion: None, proof: None };
        if let Some(assertions) = self.auth.assertions() {
            signing.assertion = Some(assertions.next(&self.server, self.client_id(), now)?);
        }
        if let Some(key) = &self.dpop {
            self.check_proofs(key)?;
            let proof = key.proof("POST", self.token_endpoint.as_str(), None, now)?;
            signing.proof = Some(Assertion::Unsigned(proof));
        }
        Ok(signing)
    }
}

/// The signatures for one request, as they arrive; made by [`Client::signing`].
#[must_use = "sign what `next` returns, then take the client"]
pub struct Signing {
    client: Box<Client>,
    /// The time that is in what is signed.
    at: SystemTime,
    assertion: Option<Assertion>,
    proof: Option<Assertion>,
}

impl Signing {
    /// Returns the next token to sign; `None` if all are signed.
    pub fn next(&self) -> Option<&Unsigned> {
        [&self.assertion, &self.proof].into_iter().flatten().find_map(Assertion::unsigned)
    }

    /// Takes the signature of the token that [`next`](Self::next) returned, in the form of RFC 7518 §3: for
    /// ECDSA, `r` and `s` side by side.
    ///
    /// # Errors
    ///
    /// Misuse: the signature has another length than the algorithm's, or all are signed.
    pub fn signed(&mut self, signature: &[u8]) -> Result<(), Error> {
        let slots = [&mut self.assertion, &mut self.proof].into_iter().flatten();
        for slot in slots {
            if let Assertion::Unsigned(unsigned) = slot {
                *slot = Assertion::Signed(unsigned.signed(signature)?);
                return Ok(());
            }
        }
        Err(Error::misuse("all signatures are there; take the client"))
    }

    /// Makes the signatures of the keys in this process.
    pub(crate) fn sign_here(&mut self) -> Result<(), SignerError> {
        for slot in [&mut self.assertion, &mut self.proof].into_iter().flatten() {
            if let Assertion::Unsigned(unsigned) = slot
                && unsigned.key().signs_here()
            {
                *slot = Assertion::Signed(unsigned.sign_here()?);
            }
        }
        Ok(())
    }

    /// Returns the time that is in what is signed.
    pub(crate) fn at(&self) -> SystemTime {
        self.at
    }

    /// Returns the client with its signatures, for one request. Make the request soon: the server compares
    /// the time in what was signed with its clock.
    ///
    /// # Errors
    ///
    /// Misuse: a signature is missing.
    pub fn client(self) -> Result<Client, Error> {
        let signed = |slot: Option<Assertion>| slot.map(Assertion::into_signed).transpose();
        let signatures = Signatures {
            assertion: Mutex::new(signed(self.assertion)?),
            proof: Mutex::new(signed(self.proof)?),
        };
        Ok(self.client.with_signatures(signatures))
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("next", &self.next()).finish_non_exhaustive()
    }
}

/// What was signed elsewhere, each for one use: a server refuses what it has seen before.
pub(crate) struct Signatures {
    assertion: Mutex<Option<Secret>>,
    proof: Mutex<Option<Secret>>,
}

impl Signatures {
    pub(crate) fn take_assertion(&self) -> Result<Secret, Error> {
        take(&self.assertion)
    }

    pub(crate) fn take_proof(&self) -> Result<Secret, Error> {
        take(&self.proof)
    }
}

fn take(slot: &Mutex<Option<Secret>>) -> Result<Secret, Error> {
    let mut slot: MutexGuard<'_, _> = slot.lock().unwrap_or_else(PoisonError::into_inner);
    slot.take().ok_or_else(|| {
        Error::misuse(
            "the signatures of this client served one request already; call Client::signing for the next one",
        )
    })
}

impl Assertion {
    /// Signs in this process.
    pub(crate) fn sign(self) -> Result<Secret, Error> {
        match self {
            Self::Signed(jwt) => Ok(jwt),
            Self::Unsigned(unsigned) => unsigned.sign(),
        }
    }

    fn unsigned(&self) -> Option<&Unsigned> {
        match self {
            Self::Signed(_) => None,
            Self::Unsigned(unsigned) => Some(unsigned),
        }
    }

    fn into_signed(self) -> Result<Secret, Error> {
        match self {
            Self::Signed(jwt) => Ok(jwt),
            Self::Unsigned(_) => {
                Err(Error::misuse("a signature is missing; sign what Signing::next returns"))
            }
        }
    }
}
