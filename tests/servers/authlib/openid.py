"""OpenID Connect: ID tokens, UserInfo and logout, and signed authorization responses (JARM)."""

import secrets
import time

from authlib.oidc.core import OpenIDCode, OpenIDToken, UserInfo, UserInfoEndpoint
from authlib.oidc.rpinitiated import EndSessionEndpoint
from flask import current_app, session
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = 600


def new_key():
    return RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM, "kid": secrets.token_urlsafe(8)})


# The first one signs, and the others are still published.
KEYS = [new_key()]
# The logout tokens that clients were sent.
LOGOUT_TOKENS = []


def rotate():
    KEYS.insert(0, new_key())


def jwks(private=False):
    return KeySet(KEYS).as_dict(private=private)


def sign(claims, **header):
    now = int(time.time())
    claims = {"iss": current_app.config["ISSUER"], "iat": now, "exp": now + LIFETIME, **claims}
    return jwt.encode({"alg": ALGORITHM, "kid": KEYS[0].kid, **header}, claims, KEYS[0])


class _Tokens:
    def resolve_client_private_key(self, client):
        return KEYS[0]

    def get_encode_header(self, client):
        return {"alg": ALGORITHM, "kid": KEYS[0].kid}

    def get_client_claims(self, client):
        return {"iss": current_app.config["ISSUER"], "aud": client.client_id}

    def generate_user_info(self, user, scope):
        return UserInfo(sub=user)


class CodeWithIDToken(_Tokens, OpenIDCode):
    def exists_nonce(self, nonce, request):
        return False

    def get_authorization_code_claims(self, authorization_code):
        return {**super().get_authorization_code_claims(authorization_code), "sid": authorization_code.sid}


class RefreshWithIDToken(_Tokens, OpenIDToken):
    """An ID token at a refresh has the time of the sign-in, OpenID Connect Core §12.2."""

    def get_compatible_claims(self, request):
        claims = super().get_compatible_claims(request)
        del claims["auth_time"]
        return claims


class UserInfoOfUser(UserInfoEndpoint):
    def generate_user_info(self, user, scope):
        return UserInfo(sub=user, name="A user")


class EndSession(EndSessionEndpoint):
    def get_server_jwks(self):
        return jwks()

    def end_session(self, end_session_request):
        """Tells a client that wants to know (Back-Channel Logout §2.4), which the library leaves to its users."""
        client, sid = end_session_request.client, session.get("sid")
        if client and sid and client.client_metadata.get("backchannel_logout_uri"):
            claims = {"aud": client.client_id, "sid": sid, "jti": secrets.token_urlsafe(16), "events": {LOGOUT_EVENT: {}}}
            LOGOUT_TOKENS.append(sign(claims, typ="logout+jwt"))
        session.clear()


def signed_response(pairs, client_id):
    """The one parameter that holds the others, JARM §2.1."""
    return [("response", sign({"aud": client_id, **dict(pairs)}))]


METADATA = {
    "id_token_signing_alg_values_supported": [ALGORITHM],
    "authorization_signing_alg_values_supported": [ALGORITHM],
    "subject_types_supported": ["public"],
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
}
