"""Client authentication with keys: assertions (RFC 7523), and TLS certificates (RFC 8705), which bind tokens."""

import ssl

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidGrantError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from cryptography.x509.extensions import SubjectAlternativeName
from cryptography.x509.general_name import DNSName
from flask import current_app, request as http_request
from joserfc.jwk import KeySet, OctKey
from joserfc.util import urlsafe_b64encode

from models import KEYS

SELF_SIGNED = load_pem_x509_certificate((KEYS / "self-signed.pem").read_bytes())
TLS_NAME = "client.example"


class ClientAssertion(JWTBearerClientAssertion):
    used = set()

    def __init__(self, method):
        super().__init__()
        self.CLIENT_AUTH_METHOD = method

    def __call__(self, query_client, request):
        if "client_assertion" not in request.form:
            return None
        _, claims = self.extract_assertion(request.form["client_assertion"])
        client = query_client(claims.get("sub"))
        # The library would refuse an assertion of the other method before that method gets its turn.
        return super().__call__(query_client, request) if client and client.auth_method == self.CLIENT_AUTH_METHOD else None

    def get_audiences(self):
        issuer = current_app.config["ISSUER"]
        return [issuer, f"{issuer}/token"]

    def validate_jti(self, claims, jti):
        is_new = (claims["iss"], jti) not in self.used
        self.used.add((claims["iss"], jti))
        return is_new

    def resolve_client_public_key(self, client):
        if self.CLIENT_AUTH_METHOD == "client_secret_jwt":
            return OctKey.import_key(client.client_secret)
        return KeySet.import_key_set(client.client_metadata["jwks"])


def certificate():
    """The certificate of the connection, which is of the known authority or self-signed, or nothing."""
    connection = http_request.environ.get("werkzeug.socket")
    der = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
    return load_der_x509_certificate(der) if der else None


def thumbprint():
    """The thumbprint of the connection's certificate, or nothing."""
    found = certificate()
    return urlsafe_b64encode(found.fingerprint(SHA256())).decode() if found else None


def bind(client):
    """The certificate that a token is bound to, which some clients must present (RFC 8705 §3)."""
    if not client.client_metadata.get("tls_client_certificate_bound_access_tokens"):
        return None
    x5t = thumbprint()
    if x5t is None:
        raise InvalidGrantError("A certificate is required")
    return x5t


def names(found):
    return found.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)


def tls_client_auth(query_client, request):
    client = query_client(request.form.get("client_id"))
    if not client or client.auth_method != "tls_client_auth":
        return None
    found = certificate()
    if found is None or found.issuer == found.subject or TLS_NAME not in names(found):
        raise InvalidClientError(description="The certificate does not match")
    return client


def self_signed_tls_client_auth(query_client, request):
    client = query_client(request.form.get("client_id"))
    if not client or client.auth_method != "self_signed_tls_client_auth":
        return None
    if certificate() != SELF_SIGNED:
        raise InvalidClientError(description="The certificate does not match")
    return client


def register(server):
    for method in ["private_key_jwt", "client_secret_jwt"]:
        server.register_client_auth_method(method, ClientAssertion(method))
    server.register_client_auth_method("tls_client_auth", tls_client_auth)
    server.register_client_auth_method("self_signed_tls_client_auth", self_signed_tls_client_auth)


def tls_context():
    """TLS that asks for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(KEYS / "server.pem", KEYS / "server.key")
    context.load_verify_locations(KEYS / "authority.pem")
    context.load_verify_locations(KEYS / "self-signed.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
