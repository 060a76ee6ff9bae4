"""A protected resource: reading needs the first scope, writing needs both."""

from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Blueprint, jsonify

from client_keys import thumbprint
from models import SCOPES, find_token
from proofs import ALGORITHMS, BoundTokenValidator

METADATA_PATH = "/.well-known/oauth-protected-resource/api"


class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string):
        token = find_token(token_string, "access_token")
        # RFC 9449 §7.2: a token that is bound to a key is no bearer token.
        return token if token and token.jkt is None and token.x5t in (None, thumbprint()) else None


def new_protector(issuer):
    protector = ResourceProtector()
    protector.register_token_validator(Validator(realm="exports", resource_metadata=f"{issuer}{METADATA_PATH}"))
    protector.register_token_validator(BoundTokenValidator())
    return protector


def protected_resource(issuer):
    resource = Blueprint("resource", __name__)
    protector = new_protector(issuer)

    @resource.get("/api")
    @protector(SCOPES[:1])
    def read():
        return jsonify(client_id=current_token.client_id, scope=current_token.scope)

    # One text with both scopes: a list of two would mean either of them.
    @resource.post("/api")
    @protector([" ".join(SCOPES)])
    def write():
        return jsonify(client_id=current_token.client_id, scope=current_token.scope)

    @resource.get(METADATA_PATH)
    def metadata():
        return jsonify(
            resource=f"{issuer}/api",
            authorization_servers=[issuer],
            scopes_supported=SCOPES,
            bearer_methods_supported=["header"],
            dpop_signing_alg_values_supported=ALGORITHMS,
            tls_client_certificate_bound_access_tokens=True,
        )

    return resource
