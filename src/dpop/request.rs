//! A request to an API with a token that is bound to a key (RFC 9449 §7).

use std::fmt;
use std::time::SystemTime;

use crate::call::Response;
use crate::challenge::Challenges;
use crate::dpop::DpopKey;
use crate::error::Error;
use crate::jose::Unsigned;
use crate::text::foreign::ForeignAddress;
use crate::text::secret::Secret;

/// One request to an API with a token that is bound to a key; made by
/// [`ProtectedApi::bound_request`](crate::challenge::ProtectedApi::bound_request).
///
/// A proof serves one method and one URL, once. Make the headers for each sending, and hand each answer to
/// [`received`](Self::received).
pub struct BoundRequest {
    key: DpopKey,
    access_token: Secret,
    authorization: Secret,
    method: String,
    url: String,
    /// The proof that lacks its signature.
    unsigned: Option<Unsigned>,
    /// True once the API has asked for another nonce, which it may do once.
    has_asked_for_nonce: bool,
}

impl BoundRequest {
    pub(crate) fn new(
        key: &DpopKey,
        access_token: &Secret,
        authorization: Secret,
        method: &str,
        url: &str,
    ) -> Self {
        Self {
            key: key.clone(),
            access_token: access_token.clone(),
            authorization,
            method: method.to_owned(),
            url: url.to_owned(),
            unsigned: None,
            has_asked_for_nonce: false,
        }
    }

    /// Returns both headers, `Authorization` and `DPoP`, each as its name in lower case and its value (RFC
    /// 9449 §7.1). The proof is a new one each time, with the newest nonce of the API.
    ///
    /// # Errors
    ///
    /// Misuse: the signer failed, or the key signs elsewhere (call [`unsigned`](Self::unsigned) and
    /// [`signed`](Self::signed)).
    pub fn headers(&self, now: SystemTime) -> Result<[(&'static str, Secret); 2], Error> {
        let proof = self.proof(now)?;
        if !proof.key().signs_here() {
            return Err(Error::misuse(
                "the key signs elsewhere; have the message of BoundRequest::unsigned signed, and call signed",
            ));
        }
        Ok(self.with_proof(proof.sign()?))
    }

    /// Returns the proof to sign, for a key that signs elsewhere. Then call [`signed`](Self::signed).
    ///
    /// ```
    /// use oauth2_proto::dpop::BoundRequest;
    /// use oauth2_proto::{Error, Secret};
    /// use std::time::SystemTime;
    ///
    /// # async fn kms_signs(_: &[u8]) -> Vec<u8> { vec![7; 64] }
    /// async fn headers(
    ///     request: &mut BoundRequest,
    ///     now: SystemTime,
    /// ) -> Result<[(&'static str, Secret); 2], Error> {
    ///     let signature = kms_signs(request.unsigned(now)?.message()).await;
    ///     request.signed(&signature)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Misuse: the URL cannot stand in a proof.
    pub fn unsigned(&mut self, now: SystemTime) -> Result<&Unsigned, Error> {
        let proof = self.proof(now)?;
        Ok(self.unsigned.insert(proof))
    }

    /// Takes the signature of the last [`unsigned`](Self::unsigned) proof, in the form of RFC 7518 §3, and
    /// returns both headers, for one sending.
    ///
    /// # Errors
    ///
    /// Misuse: the signature has another length than the algorithm's, or there is no proof to sign.
    pub fn signed(&mut self, signature: &[u8]) -> Result<[(&'static str, Secret); 2], Error> {
        let Some(unsigned) = &self.unsigned else {
            return Err(Error::misuse(
                "there is no proof to sign; a signature serves one request, so call unsigned again",
            ));
        };
        let proof = unsigned.signed(signature)?;
        self.unsigned = None;
        Ok(self.with_proof(proof))
    }

    /// Takes status and headers of the answer, whatever the status. Returns whether to send the request once
    /// more, with new headers: the API wants the nonce of this answer in the proof (RFC 9449 §9). If not,
    /// read the answer as for any other token: [`Challenges::verdict`].
    ///
    /// The token is good: do not refresh it. Nonces that come with other answers are remembered for the next
    /// request to this API, and sent to no other one.
    ///
    /// # Errors
    ///
    /// Refused, with the code `use_dpop_nonce`: the API asks a second time, or names no nonce. Report it;
    /// another request brings the same.
    pub fn received<N: AsRef<str>, V: AsRef<[u8]>>(
        &mut self,
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<bool, Error> {
        let headers: Vec<(N, V)> = headers.into_iter().collect();
        let headers = || headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let nonce = Response::new(status, headers(), b"").dpop_nonce;
        if let Some(nonce) = &nonce {
            self.key.learn(&self.url, nonce);
        }
        let challenges = Challenges::from_headers(headers());
        if status != 401 || !challenges.ask_for_nonce() {
            return Ok(false);
        }
        if nonce.is_some() && !std::mem::replace(&mut self.has_asked_for_nonce, true) {
            return Ok(true);
        }
        Err(Error::nonce_wanted(nonce).with_response(status, None).in_vain())
    }

    fn proof(&self, now: SystemTime) -> Result<Unsigned, Error> {
        self.key.proof(&self.method, &self.url, Some(&self.access_token), now)
    }

    fn with_proof(&self, proof: Secret) -> [(&'static str, Secret); 2] {
        [("authorization", self.authorization.clone()), ("dpop", proof)]
    }
}

impl fmt::Debug for BoundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundRequest")
            .field("method", &self.method)
            .field("url", &format_args!("{}", ForeignAddress(&self.url)))
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
