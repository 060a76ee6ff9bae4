"""The grants in which a user takes part."""

import json
import time

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from authlib.oidc.core.grants.util import validate_request_prompt
from flask import url_for

from client_keys import thumbprint
from models import AUTH_METHODS, CODES, DEVICES, Code, find_token

AUTHORIZATION_DETAILS_TYPE = "export"
DEVICE_INTERVAL = 1


class RequiredS256(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant, redirect_uri):
        data = grant.request.payload.data
        if "code_challenge" not in data or "code_challenge_method" not in data:
            raise InvalidRequestError("PKCE with S256 is required")
        super().validate_code_challenge(grant, redirect_uri)


class Prompt:
    """OpenID Connect's `prompt`, with or without its scope."""

    def __call__(self, grant):
        grant.register_hook("after_validate_consent_request", validate_request_prompt)


class InvalidAuthorizationDetailsError(OAuth2Error):
    error = "invalid_authorization_details"


class AuthorizationDetails:
    """Rich authorization requests (RFC 9396), which the library leaves to its users: all or nothing is granted."""

    def __call__(self, grant):
        grant.register_hook("after_validate_authorization_request_payload", self.validate)
        grant.register_hook("after_create_token_response", self.add_to_response)

    def validate(self, grant, redirect_uri):
        text = grant.request.payload.data.get("authorization_details")
        if not text:
            return
        try:
            types = [detail["type"] for detail in json.loads(text)]
        except (ValueError, TypeError, KeyError):
            types = []
        if types != [AUTHORIZATION_DETAILS_TYPE]:
            raise InvalidAuthorizationDetailsError(redirect_uri=redirect_uri)

    def add_to_response(self, grant, response):
        _, token, _ = response
        code = getattr(grant.request, "authorization_code", None)
        if code and code.authorization_details:
            token["authorization_details"] = json.loads(code.authorization_details)
            find_token(token["access_token"]).authorization_details = token["authorization_details"]


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
        if token is None or token.revoked:
            return None
        # RFC 8705 §4: the certificate is all that a client without credentials has.
        is_bound = token.x5t is not None and token.get_client().auth_method == "none"
        return None if is_bound and token.x5t != thumbprint() else token

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS


class Device(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_device_credential(self, device_code):
        return DEVICES.get(device_code)

    def query_user_grant(self, user_code):
        return next(device["decision"] for device in DEVICES.values() if device["user_code"] == user_code)

    def should_slow_down(self, credential):
        last, credential["polled_at"] = credential["polled_at"], time.monotonic()
        return credential["polled_at"] - last < DEVICE_INTERVAL


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    CLIENT_AUTH_METHODS = AUTH_METHODS
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
