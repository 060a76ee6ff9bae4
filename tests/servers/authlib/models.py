"""What the server keeps, all of it in memory: clients, codes, device codes and tokens."""

import json
import os
import secrets
import time
from pathlib import Path

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oidc.core import AuthorizationCodeMixin
from flask import session

SCOPES = ["export:read", "export:write"]
SCOPES_SUPPORTED = [*SCOPES, "openid"]
REDIRECT_URIS = ["http://127.0.0.1:9/callback", "https://app.example/callback"]
ACCESS_TOKEN_LIFETIME = int(os.environ.get("ACCESS_TOKEN_TTL") or 3600)
CODE_LIFETIME = 60
KEYS = Path(__file__).parent.parent / "keys"
CLIENT_KEY = {name: value for name, value in json.loads((KEYS / "client.jwk.json").read_text()).items() if name != "d"}

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES = [
    "authorization_code",
    "refresh_token",
    "client_credentials",
    DEVICE_CODE,
    JWT_BEARER,
    TOKEN_EXCHANGE,
]


class Client(ClientMixin):
    """A client, as the registration endpoint describes it."""

    def __init__(self, client_info, client_metadata):
        self.client_info = client_info
        self.client_metadata = client_metadata
        self.registration_access_token = None

    @property
    def client_id(self):
        return self.client_info["client_id"]

    @property
    def client_secret(self):
        return self.client_info.get("client_secret", "")

    @property
    def auth_method(self):
        return self.client_metadata["token_endpoint_auth_method"]

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.client_metadata["redirect_uris"][0]

    def get_allowed_scope(self, scope):
        return " ".join(name for name in (scope or "").split() if name in SCOPES_SUPPORTED)

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in self.client_metadata.get("redirect_uris", [])

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.auth_method

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in self.client_metadata.get("grant_types", ["authorization_code"])


class Code(AuthorizationCodeMixin):
    def __init__(self, code, request):
        self.code = code
        self.client_id = request.client.client_id
        self.user = request.user
        self.scope = request.scope
        self.redirect_uri = request.payload.redirect_uri
        self.code_challenge = request.payload.data["code_challenge"]
        self.code_challenge_method = "S256"
        self.authorization_details = request.payload.data.get("authorization_details")
        self.nonce = request.payload.data.get("nonce")
        self.signed_in_at = int(session["signed_in_at"])
        self.sid = session["sid"]
        self.expires_at = time.time() + CODE_LIFETIME

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return self.signed_in_at


class Token(TokenMixin):
    def __init__(self, token, client, user, jkt, x5t):
        self.client_id = client.client_id
        self.jkt = jkt
        self.x5t = x5t
        self.access_token = token["access_token"]
        self.refresh_token = token.get("refresh_token")
        self.scope = token.get("scope", "")
        self.user = user
        self.authorization_details = token.get("authorization_details")
        self.issued_at = int(time.time())
        self.expires_in = token["expires_in"]
        self.revoked = False

    def check_client(self, client):
        return client.client_id == self.client_id

    def get_client(self):
        return CLIENTS[self.client_id]

    def get_user(self):
        return self.user

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_in

    def is_expired(self):
        return self.issued_at + self.expires_in <= time.time()

    def is_revoked(self):
        return self.revoked


def _client(client_id, auth_method, secret="fake-secret-for-tests", **metadata):
    return Client(
        {"client_id": client_id, "client_secret": secret},
        {
            "token_endpoint_auth_method": auth_method,
            "redirect_uris": REDIRECT_URIS,
            "grant_types": GRANT_TYPES,
            **metadata,
        },
    )


POST_LOGOUT_REDIRECT_URI = "http://127.0.0.1:9/signed-out"
CLIENT = _client("test-client", "client_secret_basic")
POST_CLIENT = _client("test-client-post", "client_secret_post")
KEY_CLIENT = _client("test-client-key", "private_key_jwt", jwks={"keys": [CLIENT_KEY]})
SECRET_JWT_CLIENT = _client(
    "test-client-secret-jwt", "client_secret_jwt", "fake-secret-for-tests-with-more-than-32-bytes"
)
TLS_CLIENT = _client("test-client-tls", "tls_client_auth")
SELF_SIGNED_TLS_CLIENT = _client("test-client-self-signed-tls", "self_signed_tls_client_auth")
DPOP_CLIENT = _client("test-client-dpop", "client_secret_basic", dpop_bound_access_tokens=True)
CERTIFICATE_CLIENT = _client(
    "test-client-certificate", "client_secret_basic", tls_client_certificate_bound_access_tokens=True
)
CERTIFICATE_TLS_CLIENT = _client(
    "test-client-certificate-tls", "tls_client_auth", tls_client_certificate_bound_access_tokens=True
)
CERTIFICATE_PUBLIC_CLIENT = _client(
    "test-client-certificate-public", "none", tls_client_certificate_bound_access_tokens=True
)
PUSHED_CLIENT = _client("test-client-pushed", "client_secret_basic", require_pushed_authorization_requests=True)
SIGNED_CLIENT = _client(
    "test-client-signed", "client_secret_basic", jwks={"keys": [CLIENT_KEY]}, require_signed_request_object=True
)
FAPI_CLIENT = _client(
    "test-client-fapi",
    "private_key_jwt",
    jwks={"keys": [CLIENT_KEY]},
    dpop_bound_access_tokens=True,
    require_pushed_authorization_requests=True,
)
FAPI_CERTIFICATE_CLIENT = _client(
    "test-client-fapi-certificate",
    "private_key_jwt",
    jwks={"keys": [CLIENT_KEY]},
    tls_client_certificate_bound_access_tokens=True,
    require_pushed_authorization_requests=True,
)
OPENID_CLIENT = _client(
    "test-client-openid",
    "client_secret_basic",
    post_logout_redirect_uris=[POST_LOGOUT_REDIRECT_URI],
    backchannel_logout_uri="https://app.example/back-channel-logout",
)
CLIENTS = {
    client.client_id: client
    for client in [
        CLIENT,
        POST_CLIENT,
        KEY_CLIENT,
        SECRET_JWT_CLIENT,
        TLS_CLIENT,
        SELF_SIGNED_TLS_CLIENT,
        DPOP_CLIENT,
        CERTIFICATE_CLIENT,
        CERTIFICATE_TLS_CLIENT,
        CERTIFICATE_PUBLIC_CLIENT,
        PUSHED_CLIENT,
        SIGNED_CLIENT,
        FAPI_CLIENT,
        FAPI_CERTIFICATE_CLIENT,
        OPENID_CLIENT,
    ]
}
AUTH_METHODS = [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
]
CODES = {}
DEVICES = {}
TOKENS = []


def find_token(value, hint=None):
    kinds = [hint] if hint else ["access_token", "refresh_token"]
    return next((token for token in TOKENS for kind in kinds if getattr(token, kind) == value), None)


def save_token(token, request, jkt, x5t):
    TOKENS.append(Token(token, request.client, request.user, jkt, x5t))
    if credential := getattr(request, "credential", None):
        del DEVICES[credential["device_code"]]
