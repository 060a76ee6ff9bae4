"""An authorization server for tests: Authlib on Flask, with a login page, a consent page and nothing on disk."""

import json
import os
import secrets
import sys
import threading
import time
from urllib.parse import parse_qsl

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core.grants.util import create_response_mode_response
from flask import Flask, jsonify, make_response, redirect, request, session, url_for
from markupsafe import escape
from werkzeug.serving import make_server

import client_keys
import identity_provider
import openid
import proofs
import requests_by_client
from models import (
    ACCESS_TOKEN_LIFETIME,
    AUTH_METHODS,
    CERTIFICATE_CLIENT,
    CERTIFICATE_PUBLIC_CLIENT,
    CERTIFICATE_TLS_CLIENT,
    CLIENT,
    CLIENTS,
    CODE_LIFETIME,
    DEVICES,
    DPOP_CLIENT,
    FAPI_CERTIFICATE_CLIENT,
    FAPI_CLIENT,
    GRANT_TYPES,
    KEY_CLIENT,
    OPENID_CLIENT,
    POST_CLIENT,
    POST_LOGOUT_REDIRECT_URI,
    PUSHED_CLIENT,
    REDIRECT_URIS,
    SCOPES,
    SCOPES_SUPPORTED,
    SECRET_JWT_CLIENT,
    SELF_SIGNED_TLS_CLIENT,
    SIGNED_CLIENT,
    TLS_CLIENT,
    find_token,
    save_token,
)
from registration import INITIAL_ACCESS_TOKEN, Configuration, Registration
from protected_resource import new_protector, protected_resource
from token_grants import ASSERTION_ISSUER, ASSERTION_KEY, USER, IdentityAssertion, JWTBearer, TokenExchange
from user_grants import (
    AUTHORIZATION_DETAILS_TYPE,
    AuthorizationCodeGrant,
    AuthorizationDetails,
    ClientCredentialsGrant,
    Device,
    DeviceAuthorization,
    Prompt,
    RefreshTokenGrant,
    RequiredS256,
)

PASSWORD = "password"
CONFIDENTIAL = [method for method in AUTH_METHODS if method != "none"]
RESPONSE_MODES = ["query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"]


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = CONFIDENTIAL

    def query_token(self, token_string, token_type_hint):
        return find_token(token_string, token_type_hint)

    def revoke_token(self, token, request):
        token.revoked = True


class Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = CONFIDENTIAL

    def check_permission(self, token, client, request):
        return True

    def query_token(self, token_string, token_type_hint):
        return find_token(token_string, token_type_hint)

    def introspect_token(self, token):
        details = {"authorization_details": token.authorization_details} if token.authorization_details else {}
        if token.jkt:
            details["cnf"] = {"jkt": token.jkt}
        if token.x5t:
            details["cnf"] = {"x5t#S256": token.x5t}
        return {
            "client_id": token.client_id,
            "username": token.user,
            "scope": token.scope,
            "token_type": "DPoP" if token.jkt else "Bearer",
            "iat": token.issued_at,
            "exp": token.issued_at + token.expires_in,
            **details,
        }


class Issuer(IssuerParameter):
    def get_issuer(self):
        return app.config["ISSUER"]


app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_bytes(32),
    OAUTH2_SCOPES_SUPPORTED=SCOPES_SUPPORTED,
    OAUTH2_REFRESH_TOKEN_GENERATOR=True,
    OAUTH2_TOKEN_EXPIRES_IN={grant_type: ACCESS_TOKEN_LIFETIME for grant_type in GRANT_TYPES},
)
app.after_request(proofs.add_nonce)


def save_bound_token(token, request):
    save_token(token, request, proofs.bind(token, request.client), client_keys.bind(request.client))


server = AuthorizationServer(app, CLIENTS.get, save_bound_token)
client_keys.register(server)
server.register_grant(
    AuthorizationCodeGrant,
    [RequiredS256(required=True), Prompt(), AuthorizationDetails(), openid.CodeWithIDToken()],
)
server.register_grant(RefreshTokenGrant, [openid.RefreshWithIDToken()])
server.register_grant(ClientCredentialsGrant)
server.register_grant(Device)
server.register_grant(JWTBearer)
server.register_grant(IdentityAssertion)
server.register_grant(TokenExchange)
server.register_endpoint(Revocation)
server.register_endpoint(Introspection)
server.register_endpoint(DeviceAuthorization)
server.register_endpoint(Registration)
server.register_endpoint(Configuration)
server.register_endpoint(openid.EndSession)
server.register_extension(Issuer())
server.register_extension(requests_by_client.AuthorizationRequest())
app.register_blueprint(identity_provider.identity_provider)


def page(title, fields, buttons):
    return f"<!doctype html><title>{title}</title><h1>{title}</h1><form method=post>{fields}{buttons}</form>"


DECISION = '<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button>'


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST" and (request.form.get("username"), request.form.get("password")) == (USER, PASSWORD):
        session.update(user=USER, signed_in_at=time.time(), sid=secrets.token_urlsafe(16))
        return redirect(session.pop("next", "/login"))
    hint = escape(session.get("login_hint", ""))
    fields = f'<input name="username" value="{hint}"> <input name="password" type="password">'
    return page("Sign in", fields, "<button>Sign in</button>")


def ask_to_sign_in(login_hint=""):
    path = request.full_path
    session.clear()
    session.update(next=path, signed_in_for=path, login_hint=login_hint)
    return redirect(url_for("login"))


def must_sign_in(grant):
    """True if nobody is signed in, or not as freshly as the request asks for: since it was made, or for `max_age`."""
    if "user" not in session:
        return True
    age = time.time() - session["signed_in_at"]
    max_age = float(grant.request.payload.data.get("max_age") or "inf")
    wants_fresh = getattr(grant, "prompt", None) == "login" or age > max_age
    return wants_fresh and session.get("signed_in_for") != request.full_path


@app.route("/authorize", methods=["GET", "POST"])
def authorize():
    try:
        grant = server.get_consent_grant(end_user=session.get("user"))
    except OAuth2Error as error:
        return with_issuer(server.handle_error_response(None, error))
    asked = grant.request.payload.data
    if must_sign_in(grant):
        return ask_to_sign_in(asked.get("login_hint", ""))
    if request.method == "GET":
        return page("Grant access?", "", DECISION)
    user = session["user"] if request.form.get("decision") == "allow" else None
    response = server.create_authorization_response(grant_user=user, grant=grant)
    return in_mode(asked.get("response_mode") or "query", response, asked["client_id"])


def with_issuer(response):
    """An error that the library finds before the consent page lacks `iss`."""
    Issuer().add_issuer_parameter(server, response)
    return response


def in_mode(mode, response, client_id):
    """The library knows the modes, and uses them for OpenID Connect's other flows only; it signs no response."""
    if mode == "query" or response.location is None:
        return response
    address, _, query = response.location.partition("?")
    pairs = parse_qsl(query)
    if mode.endswith("jwt"):
        pairs = openid.signed_response(pairs, client_id)
        mode = mode.removesuffix("jwt").removesuffix(".") or "query"
    status, body, headers = create_response_mode_response(address, pairs, mode)
    return make_response(body, status, headers)


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


@app.post("/push")
def push():
    return requests_by_client.push(server)


@app.put("/request-objects")
def store_request_object():
    return requests_by_client.store_document()


@app.get("/jwks")
def jwks():
    return jsonify(openid.jwks())


@app.post("/rotate-keys")
def rotate_keys():
    openid.rotate()
    return "", 204


@app.route("/userinfo", methods=["GET", "POST"])
def userinfo():
    return server.create_endpoint_response("userinfo")


@app.route("/logout", methods=["GET", "POST"])
def logout():
    return server.create_endpoint_response("end_session") or page("Signed out", "", "")


@app.get("/logout-tokens")
def logout_tokens():
    return jsonify(openid.LOGOUT_TOKENS)


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.post("/introspect")
def introspect():
    return server.create_endpoint_response(Introspection.ENDPOINT_NAME)


@app.post("/device_authorization")
def device_authorization():
    return server.create_endpoint_response(DeviceAuthorization.ENDPOINT_NAME)


@app.post("/register")
def register():
    return server.create_endpoint_response(Registration.ENDPOINT_NAME)


@app.route("/register/<client_id>", methods=["GET", "PUT", "DELETE"])
def configure(client_id):
    return server.create_endpoint_response(Configuration.ENDPOINT_NAME)


# The endpoints at which a client authenticates.
ENDPOINTS = {
    "token_endpoint": "token",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "device_authorization_endpoint": "device_authorization",
    "pushed_authorization_request_endpoint": "push",
}


def metadata(base):
    tls = app.config["TLS_ORIGIN"]
    document = AuthorizationServerMetadata(
        issuer=base,
        authorization_endpoint=f"{base}/authorize",
        **{name: f"{base}/{path}" for name, path in ENDPOINTS.items()},
        mtls_endpoint_aliases={name: f"{tls}/{path}" for name, path in ENDPOINTS.items()},
        jwks_uri=f"{base}/jwks",
        userinfo_endpoint=f"{base}/userinfo",
        end_session_endpoint=f"{base}/logout",
        registration_endpoint=f"{base}/register",
        scopes_supported=SCOPES_SUPPORTED,
        response_types_supported=["code"],
        response_modes_supported=RESPONSE_MODES,
        grant_types_supported=GRANT_TYPES,
        token_endpoint_auth_methods_supported=AUTH_METHODS,
        token_endpoint_auth_signing_alg_values_supported=["HS256", "ES256"],
        dpop_signing_alg_values_supported=proofs.ALGORITHMS,
        tls_client_certificate_bound_access_tokens=True,
        code_challenge_methods_supported=["S256"],
        authorization_response_iss_parameter_supported=True,
        authorization_details_types_supported=[AUTHORIZATION_DETAILS_TYPE],
        **requests_by_client.METADATA,
        **openid.METADATA,
    )
    return document


@app.get("/.well-known/openid-configuration")
@app.get("/.well-known/oauth-authorization-server")
def server_metadata():
    return jsonify(metadata(app.config["ISSUER"]))


def exit_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or 0)
    http = make_server("127.0.0.1", port, app, threaded=True)
    base = f"http://127.0.0.1:{http.server_port}"
    tls = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=client_keys.tls_context())
    threading.Thread(target=tls.serve_forever, daemon=True).start()
    app.config.update(ISSUER=base, TLS_ORIGIN=f"https://127.0.0.1:{tls.server_port}")
    server.register_endpoint(openid.UserInfoOfUser(resource_protector=new_protector(base)))
    app.register_blueprint(protected_resource(base))
    described = metadata(base)
    facts = {
        "issuer": base,
        "metadata_url": f"{base}/.well-known/oauth-authorization-server",
        "authorization_endpoint": described["authorization_endpoint"],
        "token_endpoint": described["token_endpoint"],
        "revocation_endpoint": described["revocation_endpoint"],
        "introspection_endpoint": described["introspection_endpoint"],
        "device_authorization_endpoint": described["device_authorization_endpoint"],
        "pushed_authorization_request_endpoint": described["pushed_authorization_request_endpoint"],
        "iss_parameter_supported": True,
        "iss_in_error_responses": True,
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
        "wider": {
            "grant_types": GRANT_TYPES,
            "device_slow_down": True,
            "registration_endpoint": described["registration_endpoint"],
            "initial_access_token": INITIAL_ACCESS_TOKEN,
            "registration_management": True,
            "assertion": {"issuer": ASSERTION_ISSUER, "key": ASSERTION_KEY, "audience": base, "subject": USER},
            "identity_provider": identity_provider.facts(base),
            "authorization_details_type": AUTHORIZATION_DETAILS_TYPE,
            "response_modes": RESPONSE_MODES,
            "prompts": ["none", "login"],
            "max_age": True,
            "login_hint": True,
            "api": f"{base}/api",
            "insufficient_scope": "has_no_challenge",
            "openid_configuration": True,
            "keys": {
                "private_key_jwt": KEY_CLIENT.client_id,
                "client_secret_jwt": {"id": SECRET_JWT_CLIENT.client_id, "secret": SECRET_JWT_CLIENT.client_secret},
                "tls_client_auth": TLS_CLIENT.client_id,
                "self_signed_tls_client_auth": SELF_SIGNED_TLS_CLIENT.client_id,
                "dpop": DPOP_CLIENT.client_id,
                "certificate_bound": {
                    "with_secret": CERTIFICATE_CLIENT.client_id,
                    "with_tls": CERTIFICATE_TLS_CLIENT.client_id,
                    "public": CERTIFICATE_PUBLIC_CLIENT.client_id,
                    "api": f"{app.config['TLS_ORIGIN']}/api",
                },
                "pushed": PUSHED_CLIENT.client_id,
                "signed": SIGNED_CLIENT.client_id,
                "signed_by_reference": f"{base}/request-objects",
                "jarm": True,
                "fapi": {
                    "client_id": FAPI_CLIENT.client_id,
                    "certificate_client_id": FAPI_CERTIFICATE_CLIENT.client_id,
                    "openid": False,
                },
                "openid": {
                    "client_id": OPENID_CLIENT.client_id,
                    "end_session": True,
                    "post_logout_redirect_uri": POST_LOGOUT_REDIRECT_URI,
                    "logout_tokens": f"{base}/logout-tokens",
                    "rotation": f"{base}/rotate-keys",
                },
            },
        },
    }
    print("READY", json.dumps(facts), flush=True)
    http.serve_forever()
