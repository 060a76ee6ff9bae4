"""Tokens that are bound to a key (DPoP, RFC 9449), which the library leaves to its users; a nonce is required."""

import hashlib
import secrets
import time

from authlib.common.urls import urlparse
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import TokenValidator
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from flask import g, request as http_request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.util import urlsafe_b64encode

from models import find_token

ALGORITHMS = ["ES256", "EdDSA"]
WINDOW = 60
NONCES = set()
USED = set()


class InvalidProofError(OAuth2Error):
    error = "invalid_dpop_proof"


class UseNonceError(OAuth2Error):
    error = "use_dpop_nonce"

    def __init__(self, status_code=400):
        super().__init__("A nonce is required", status_code=status_code)

    def get_headers(self):
        challenge = [("WWW-Authenticate", f'DPoP error="{self.error}"')] if self.status_code == 401 else []
        return [*super().get_headers(), *challenge]


def new_nonce():
    nonce = secrets.token_urlsafe(16)
    NONCES.add(nonce)
    return nonce


def thumbprint(access_token=None):
    """The thumbprint of the key that made the proof of this request, or nothing if there is no proof."""
    proofs = http_request.headers.getlist("DPoP")
    if not proofs:
        return None
    g.dpop_nonce = new_nonce()
    try:
        [proof] = proofs
        header = jwt.decode(proof, lambda it: import_key(public(it.headers()["jwk"])), algorithms=ALGORITHMS)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise InvalidProofError("The proof cannot be verified") from error
    claims = header.claims
    address = urlparse.urlsplit(http_request.url)._replace(query="", fragment="").geturl()
    holds = (
        header.header.get("typ") == "dpop+jwt"
        and claims.get("htm") == http_request.method
        and claims.get("htu") == address
        and abs(time.time() - claims.get("iat", 0)) <= WINDOW
        and isinstance(claims.get("jti"), str)
        and claims["jti"] not in USED
        and (access_token is None or claims.get("ath") == digest(access_token))
    )
    if not holds:
        raise InvalidProofError("The claims of the proof do not hold")
    if claims.get("nonce") not in NONCES:
        raise UseNonceError(400 if access_token is None else 401)
    USED.add(claims["jti"])
    return import_key(header.header["jwk"]).thumbprint()


def public(jwk):
    if "d" in jwk or jwk.get("kty") == "oct":
        raise ValueError("not a public key")
    return jwk


def digest(text):
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()


def bind(token, client):
    """Binds a token to the key of the request's proof, which some clients must have."""
    jkt = thumbprint()
    if jkt is None and client.client_metadata.get("dpop_bound_access_tokens"):
        raise InvalidProofError("A proof is required")
    if jkt:
        token["token_type"] = "DPoP"
    return jkt


class BoundTokenValidator(TokenValidator):
    TOKEN_TYPE = "dpop"

    def authenticate_token(self, token_string):
        return find_token(token_string, "access_token")

    def validate_token(self, token, scopes, request):
        if token is None or token.jkt is None or thumbprint(token.access_token) != token.jkt:
            raise InvalidTokenError()
        BearerTokenValidator().validate_token(token, scopes, request)


def add_nonce(response):
    """Sends a new nonce with each answer to a proof."""
    if "dpop_nonce" in g:
        response.headers["DPoP-Nonce"] = g.dpop_nonce
    return response
