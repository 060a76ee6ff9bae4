"""Dynamic client registration (RFC 7591) with an initial access token, and its management (RFC 7592)."""

import secrets

from authlib.oauth2.rfc7591 import ClientMetadataClaims, ClientRegistrationEndpoint
from authlib.oauth2.rfc7592 import ClientConfigurationEndpoint
from flask import url_for

from models import AUTH_METHODS, CLIENTS, GRANT_TYPES, SCOPES, Client

INITIAL_ACCESS_TOKEN = "fake-initial-access-token"
SERVER_METADATA = {
    "scopes_supported": SCOPES,
    "grant_types_supported": GRANT_TYPES,
    "response_types_supported": ["code"],
    "token_endpoint_auth_methods_supported": AUTH_METHODS,
}


def bearer_token(request):
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


class Registration(ClientRegistrationEndpoint):
    def get_server_metadata(self):
        return SERVER_METADATA

    def authenticate_token(self, request):
        return bearer_token(request) == INITIAL_ACCESS_TOKEN

    def generate_client_info(self, request):
        info = super().generate_client_info(request)
        if request.payload.data.get("token_endpoint_auth_method") == "none":
            del info["client_secret"], info["client_secret_expires_at"]
        return info

    def generate_client_registration_info(self, client, request):
        return registration_info(client)

    def save_client(self, client_info, client_metadata, request):
        client = CLIENTS[client_info["client_id"]] = Client(client_info, client_metadata)
        client.registration_access_token = secrets.token_urlsafe(32)
        return client


class RegistrationAccessToken:
    def __init__(self, client):
        self.client = client

    def check_client(self, client):
        return client is self.client


class Configuration(ClientConfigurationEndpoint):
    def get_server_metadata(self):
        return SERVER_METADATA

    def authenticate_token(self, request):
        token = bearer_token(request)
        clients = (it for it in CLIENTS.values() if token and it.registration_access_token == token)
        return next((RegistrationAccessToken(client) for client in clients), None)

    def authenticate_client(self, request):
        return CLIENTS.get(request.uri.rsplit("/", 1)[-1])

    def revoke_access_token(self, token, request):
        token.client.registration_access_token = None

    def check_permission(self, client, request):
        return True

    def generate_client_registration_info(self, client, request):
        return registration_info(client)

    def update_client(self, client, client_metadata, request):
        client.client_metadata = client_metadata
        return client

    def delete_client(self, client, request):
        del CLIENTS[client.client_id]


def registration_info(client):
    return {
        "registration_client_uri": url_for("configure", client_id=client.client_id, _external=True),
        "registration_access_token": client.registration_access_token,
    }
