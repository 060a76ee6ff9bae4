"""An authorization server for tests: Authlib on Flask, with a login page, a consent page and nothing on disk."""

import json
import os
import secrets
import sys
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, InvalidRequestError, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from flask import Flask, redirect, request, session, url_for
from werkzeug.serving import make_server

USER, PASSWORD = "user", "password"
SCOPES = ["export:read", "export:write"]
REDIRECT_URIS = ["http://127.0.0.1:9/callback", "https://app.example/callback"]
GRANT_TYPES = ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE_GRANT_TYPE]
ACCESS_TOKEN_LIFETIME = int(os.environ.get("ACCESS_TOKEN_TTL") or 3600)
CODE_LIFETIME = 60
DEVICE_INTERVAL = 1


class Client(ClientMixin):
    client_secret = "fake-secret-for-tests"

    def __init__(self, client_id, auth_method):
        self.client_id = client_id
        self.auth_method = auth_method

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return REDIRECT_URIS[0]

    def get_allowed_scope(self, scope):
        return " ".join(name for name in (scope or "").split() if name in SCOPES)

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in REDIRECT_URIS

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.auth_method

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in GRANT_TYPES


class Code(AuthorizationCodeMixin):
    def __init__(self, code, request):
        self.code = code
        self.client_id = request.client.client_id
        self.user = request.user
        self.scope = request.scope
        self.redirect_uri = request.payload.redirect_uri
        self.code_challenge = request.payload.data["code_challenge"]
        self.code_challenge_method = "S256"
        self.expires_at = time.time() + CODE_LIFETIME

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


class Token(TokenMixin):
    def __init__(self, token, client, user):
        self.client_id = client.client_id
        self.access_token = token["access_token"]
        self.refresh_token = token.get("refresh_token")
        self.scope = token.get("scope", "")
        self.user = user
        self.issued_at = int(time.time())
        self.expires_in = token["expires_in"]
        self.revoked = False

    def check_client(self, client):
        return client.client_id == self.client_id

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_in

    def is_expired(self):
        return self.issued_at + self.expires_in <= time.time()

    def is_revoked(self):
        return self.revoked


CLIENT = Client("test-client", "client_secret_basic")
POST_CLIENT = Client("test-client-post", "client_secret_post")
CLIENTS = {client.client_id: client for client in [CLIENT, POST_CLIENT]}
AUTH_METHODS = [client.auth_method for client in CLIENTS.values()]
CODES = {}
TOKENS = []
DEVICES = {}


def find_token(value, hint):
    kinds = [hint] if hint else ["access_token", "refresh_token"]
    return next((token for token in TOKENS for kind in kinds if getattr(token, kind) == value), None)


def save_token(token, request):
    TOKENS.append(Token(token, request.client, request.user))
    if credential := getattr(request, "credential", None):
        del DEVICES[credential["device_code"]]


class RequiredS256(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant, redirect_uri):
        data = grant.request.payload.data
        if "code_challenge" not in data or "code_challenge_method" not in data:
            raise InvalidRequestError("PKCE with S256 is required")
        super().validate_code_challenge(grant, redirect_uri)


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def save_authorization_code(self, code, request):
        CODES[code] = Code(code, request)

    def query_authorization_code(self, code, client):
        found = CODES.get(code)
        return found if found and found.client_id == client.client_id and found.expires_at > time.time() else None

    def delete_authorization_code(self, authorization_code):
        CODES.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code):
        return authorization_code.user


class RefreshTokenGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        token = find_token(refresh_token, "refresh_token")
        return token if token and not token.revoked else None

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True


class Device(DeviceCodeGrant):
    def query_device_credential(self, device_code):
        return DEVICES.get(device_code)

    def query_user_grant(self, user_code):
        return next(device["decision"] for device in DEVICES.values() if device["user_code"] == user_code)

    def should_slow_down(self, credential):
        last, credential["polled_at"] = credential["polled_at"], time.monotonic()
        return credential["polled_at"] - last < DEVICE_INTERVAL


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    INTERVAL = DEVICE_INTERVAL

    def get_verification_uri(self):
        return url_for("device", _external=True)

    def save_device_credential(self, client_id, scope, data):
        DEVICES[data["device_code"]] = DeviceCredentialDict(
            client_id=client_id,
            scope=scope,
            expires_at=time.time() + data["expires_in"],
            device_code=data["device_code"],
            user_code=data["user_code"],
            decision=None,
            polled_at=float("-inf"),
        )


class Revocation(RevocationEndpoint):
    def query_token(self, token_string, token_type_hint):
        return find_token(token_string, token_type_hint)

    def revoke_token(self, token, request):
        token.revoked = True


class Introspection(IntrospectionEndpoint):
    def check_permission(self, token, client, request):
        return True

    def query_token(self, token_string, token_type_hint):
        return find_token(token_string, token_type_hint)

    def introspect_token(self, token):
        return {
            "client_id": token.client_id,
            "username": token.user,
            "scope": token.scope,
            "token_type": "Bearer",
            "iat": token.issued_at,
            "exp": token.issued_at + token.expires_in,
        }


app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_bytes(32),
    OAUTH2_SCOPES_SUPPORTED=SCOPES,
    OAUTH2_REFRESH_TOKEN_GENERATOR=True,
    OAUTH2_TOKEN_EXPIRES_IN={grant_type: ACCESS_TOKEN_LIFETIME for grant_type in GRANT_TYPES},
)
server = AuthorizationServer(app, CLIENTS.get, save_token)
server.register_grant(AuthorizationCodeGrant, [RequiredS256(required=True)])
server.register_grant(RefreshTokenGrant)
server.register_grant(grants.ClientCredentialsGrant)
server.register_grant(Device)
server.register_endpoint(Revocation)
server.register_endpoint(Introspection)
server.register_endpoint(DeviceAuthorization)


def page(title, fields, buttons):
    return f"<!doctype html><title>{title}</title><h1>{title}</h1><form method=post>{fields}{buttons}</form>"


DECISION = '<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button>'


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST" and (request.form.get("username"), request.form.get("password")) == (USER, PASSWORD):
        session["user"] = USER
        return redirect(session.pop("next", "/login"))
    fields = '<input name="username"> <input name="password" type="password">'
    return page("Sign in", fields, "<button>Sign in</button>")


def ask_to_sign_in():
    session["next"] = request.full_path
    return redirect(url_for("login"))


@app.route("/authorize", methods=["GET", "POST"])
def authorize():
    if "user" not in session:
        return ask_to_sign_in()
    try:
        grant = server.get_consent_grant(end_user=session["user"])
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    if request.method == "GET":
        return page("Grant access?", "", DECISION)
    user = session["user"] if request.form.get("decision") == "allow" else None
    return server.create_authorization_response(grant_user=user, grant=grant)


@app.route("/device", methods=["GET", "POST"])
def device():
    if "user" not in session:
        return ask_to_sign_in()
    credential = next((it for it in DEVICES.values() if it["user_code"] == request.values.get("user_code")), None)
    if request.method == "GET" or credential is None:
        code = credential["user_code"] if credential else ""
        return page("Connect a device", f'<input name="user_code" value="{code}">', DECISION)
    credential["decision"] = (session["user"], request.form.get("decision") == "allow")
    return "<!doctype html><title>Done</title><p>You can go back to your device."


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.post("/introspect")
def introspect():
    return server.create_endpoint_response(Introspection.ENDPOINT_NAME)


@app.post("/device_authorization")
def device_authorization():
    return server.create_endpoint_response(DeviceAuthorization.ENDPOINT_NAME)


def exit_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or 0)
    http = make_server("127.0.0.1", port, app, threaded=True)
    base = f"http://127.0.0.1:{http.server_port}"
    facts = {
        "issuer": None,
        "metadata_url": None,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "revocation_endpoint": f"{base}/revoke",
        "introspection_endpoint": f"{base}/introspect",
        "device_authorization_endpoint": f"{base}/device_authorization",
        "pushed_authorization_request_endpoint": None,
        "iss_parameter_supported": False,
        "iss_in_error_responses": False,
        "client_id": CLIENT.client_id,
        "client_secret": CLIENT.client_secret,
        "redirect_uris": REDIRECT_URIS,
        "scopes": SCOPES,
        "access_token_lifetime": ACCESS_TOKEN_LIFETIME,
        "code_lifetime": CODE_LIFETIME,
        "post_client_id": POST_CLIENT.client_id,
        "refused_scope": None,
        "resource": None,
        "refresh_narrows_scope": True,
        "refresh_token_reuse": "rejected",
    }
    print("READY", json.dumps(facts), flush=True)
    http.serve_forever()
