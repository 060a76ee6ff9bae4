"""The stand-in for a company's identity provider: its token endpoint exchanges one ID token for assertions."""

from authlib.oauth2.drafts import IDJAGGrant
from flask import Blueprint, current_app, jsonify, request
from joserfc.jwk import OctKey

from models import CLIENT, TOKEN_EXCHANGE
from token_grants import IDENTITY_PROVIDER, IDENTITY_PROVIDER_KEY, USER

ID_TOKEN = "fake-id-token"
LIFETIME = 300
CLIENT_ID, CLIENT_SECRET = "client-at-the-identity-provider", "fake-secret-for-tests"

identity_provider = Blueprint("identity_provider", __name__)


@identity_provider.post("/idp/token")
def exchange():
    form, credentials = request.form, request.authorization
    if not credentials or (credentials.username, credentials.password) != (CLIENT_ID, CLIENT_SECRET):
        return jsonify(error="invalid_client"), 401
    expected = {
        "grant_type": TOKEN_EXCHANGE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
        "subject_token": ID_TOKEN,
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }
    if wrong := [name for name, value in expected.items() if form.get(name) != value]:
        return jsonify(error="invalid_request", error_description=f"wrong {wrong[0]}"), 400
    if form.get("audience") != current_app.config["ISSUER"]:
        return jsonify(error="invalid_target"), 400
    claims = {name: form[name] for name in ["scope", "resource"] if name in form}
    assertion = IDJAGGrant.sign(
        OctKey.import_key(IDENTITY_PROVIDER_KEY),
        issuer=IDENTITY_PROVIDER,
        audience=form["audience"],
        subject=USER,
        client_id=CLIENT.client_id,
        claims=claims,
        alg="HS256",
    )
    return jsonify(
        access_token=assertion,
        issued_token_type=expected["requested_token_type"],
        token_type="N_A",
        expires_in=LIFETIME,
        **({"scope": claims["scope"]} if "scope" in claims else {}),
    )


def facts(issuer):
    return {
        "token_endpoint": f"{issuer}/idp/token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "id_token": ID_TOKEN,
        "audience": issuer,
    }
