"""Authorization requests that the client signs (RFC 9101), and that it pushes (RFC 9126)."""

import secrets
import time

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc9101 import JWTAuthenticationRequest
from flask import jsonify, request as http_request
from joserfc.jwk import KeySet

from models import AUTH_METHODS, CLIENTS

LIFETIME = 60
URN = "urn:ietf:params:oauth:request_uri:"
ALGORITHMS = ["ES256"]
CREDENTIALS = ["client_secret", "client_assertion", "client_assertion_type"]
PUSHED = {}
# The web server of a client: a test stores a request object, and the server gets it back.
DOCUMENTS = {}


class AuthorizationRequest(JWTAuthenticationRequest):
    def parse_authorization_request(self, authorization_server, request):
        asked = request.payload.data
        client = CLIENTS.get(asked.get("client_id"))
        if asked.get("request_uri", "").startswith(URN):
            client_id, expires_at, parameters = PUSHED.get(asked["request_uri"], (None, 0, None))
            if client is None or client.client_id != client_id or expires_at < time.time():
                raise InvalidRequestError("The request_uri is unknown or has expired")
            request.payload = BasicOAuth2Payload(parameters)
        elif client and client.client_metadata.get("require_pushed_authorization_requests") and not is_push():
            raise InvalidRequestError("The client must push its authorization requests")
        super().parse_authorization_request(authorization_server, request)

    def resolve_client_public_key(self, client):
        return KeySet.import_key_set(client.client_metadata.get("jwks", {"keys": []}))

    def get_client_require_signed_request_object(self, client):
        return client.client_metadata.get("require_signed_request_object", False)

    def get_request_object_signing_algorithms(self, client):
        return ALGORITHMS

    def validate_request_uri(self, request_uri, client):
        return request_uri.startswith("https://app.example/") and request_uri in DOCUMENTS

    def get_request_object(self, request_uri):
        return DOCUMENTS[request_uri]


def is_push():
    return http_request.path == "/push"


def push(server):
    """The pushed authorization request endpoint, which the library leaves to its users."""
    asked = server.create_oauth2_request(None)
    try:
        client = server.authenticate_client(asked, AUTH_METHODS)
        if "request_uri" in http_request.form:
            raise InvalidRequestError("A request_uri cannot be pushed")
        parameters = {name: value for name, value in http_request.form.items() if name not in CREDENTIALS}
        parameters["client_id"] = client.client_id
        asked.payload = BasicOAuth2Payload(parameters)
        server.get_authorization_grant(asked).validate_authorization_request()
    except OAuth2Error as error:
        error.redirect_uri = None
        return server.handle_error_response(asked, error)
    request_uri = URN + secrets.token_urlsafe(24)
    PUSHED[request_uri] = client.client_id, time.time() + LIFETIME, parameters
    return jsonify(request_uri=request_uri, expires_in=LIFETIME), 201


def store_document():
    """`PUT /request-objects?url=URL`"""
    DOCUMENTS[http_request.args["url"]] = http_request.get_data(as_text=True)
    return "", 204


METADATA = {
    "request_parameter_supported": True,
    "request_uri_parameter_supported": True,
    "request_object_signing_alg_values_supported": ALGORITHMS,
}
