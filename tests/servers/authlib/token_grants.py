"""The grants in which a token takes the user's place."""

from authlib.oauth2.rfc6749 import BaseGrant, InvalidRequestError, InvalidScopeError, TokenEndpointMixin
from authlib.oauth2.rfc7523 import JWTBearerGrant
from authlib.oauth2.drafts import IDJAGGrant
from flask import current_app
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from models import AUTH_METHODS, CLIENT, SCOPES, TOKEN_EXCHANGE, find_token

USER = "user"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
# The signers of assertions, both with HS256.
ASSERTION_ISSUER = "https://sts.example"
ASSERTION_KEY = "fake-key-of-a-security-token-service"
IDENTITY_PROVIDER = "https://idp.example"
IDENTITY_PROVIDER_KEY = "fake-key-of-an-identity-provider"


def is_identity_assertion(assertion):
    try:
        return jws.extract_compact((assertion or "").encode()).headers().get("typ") == IDJAGGrant.REQUIRED_TYP
    except (JoseError, ValueError):
        return False


class JWTBearer(JWTBearerGrant):
    """RFC 7523: who signs the assertion stands for the client."""

    @classmethod
    def check_token_endpoint(cls, request):
        return super().check_token_endpoint(request) and not is_identity_assertion(request.form.get("assertion"))

    def resolve_issuer_client(self, issuer):
        return CLIENT if issuer == ASSERTION_ISSUER else None

    def resolve_client_public_key(self, client):
        return OctKey.import_key(ASSERTION_KEY)

    def authenticate_user(self, subject):
        return subject if subject == USER else None

    def has_granted_permission(self, client, user):
        return True

    def get_audiences(self):
        return [current_app.config["ISSUER"]]


class IdentityAssertion(IDJAGGrant):
    """draft-ietf-oauth-identity-assertion-authz-grant: the client authenticates too."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    used = set()

    @classmethod
    def check_token_endpoint(cls, request):
        return super().check_token_endpoint(request) and is_identity_assertion(request.form.get("assertion"))

    def get_audiences(self):
        return [current_app.config["ISSUER"]]

    def resolve_issuer_key(self, issuer, headers):
        return OctKey.import_key(IDENTITY_PROVIDER_KEY if issuer == IDENTITY_PROVIDER else "fake-key-of-nobody")

    def authenticate_user(self, subject):
        return subject if subject == USER else None

    def check_jti(self, claims, jti):
        is_new = jti not in self.used
        self.used.add(jti)
        return is_new

    def check_id_jag_permission(self, client, user, scopes):
        return True


class TokenExchange(BaseGrant, TokenEndpointMixin):
    """RFC 8693 for access tokens, which the library leaves to its users."""

    GRANT_TYPE = TOKEN_EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self):
        form = self.request.form
        self.request.client = self.authenticate_token_endpoint_client()
        if form.get("subject_token_type") != ACCESS_TOKEN:
            raise InvalidRequestError("Missing or unsupported 'subject_token_type'")
        for name in ["actor_token_type", "requested_token_type"]:
            if form.get(name, ACCESS_TOKEN) != ACCESS_TOKEN:
                raise InvalidRequestError(f"Unsupported '{name}'")
        subject = self.find(form.get("subject_token"))
        if "actor_token" in form:
            self.find(form["actor_token"])
        wanted = (form.get("scope") or subject.scope).split()
        if not set(wanted) <= set(subject.scope.split()):
            raise InvalidScopeError()
        self.request.user = subject.user
        self.scope = " ".join(name for name in wanted if name in SCOPES)

    def find(self, value):
        token = find_token(value, "access_token")
        # RFC 8693 §2.2.2: a token that is not good for this is an invalid request.
        if token is None or token.is_revoked() or token.is_expired():
            raise InvalidRequestError("The token is invalid")
        return token

    def create_token_response(self):
        token = self.generate_token(scope=self.scope, user=self.request.user, include_refresh_token=False)
        self.save_token(token)
        return 200, {**token, "issued_token_type": ACCESS_TOKEN}, self.TOKEN_RESPONSE_HEADER
