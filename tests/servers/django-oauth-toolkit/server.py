"""An authorization server for tests: django-oauth-toolkit as a whole Django project, with its database in memory."""

import json
import os
import secrets
import sys
import threading
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from jwcrypto.jwk import JWK

USER, PASSWORD = "user", "password"
CLIENT_ID, CLIENT_SECRET = "test-client", "fake-secret-for-tests"
SCOPES = ["export:read", "export:write"]
REDIRECT_URIS = ["http://127.0.0.1:9/callback", "https://app.example/callback"]
ACCESS_TOKEN_LIFETIME = int(os.environ.get("ACCESS_TOKEN_TTL") or 3600)
CODE_LIFETIME = 60
GRANT_TYPES = [
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
]
OPENID_CLIENT_ID = "test-client-openid"
POST_LOGOUT_REDIRECT_URI = "http://127.0.0.1:9/signed-out"
LOGIN_PAGE = "<!doctype html><form method=post>{% csrf_token %}{{ form.as_p }}<button>Log in</button></form>"

urlpatterns = []


def configure(base):
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        # Fast rather than strong: nothing here outlives a test.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=secrets.token_urlsafe(32),
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", {"login.html": LOGIN_PAGE}),
                        "django.template.loaders.app_directories.Loader",
                    ],
                    "context_processors": ["django.template.context_processors.request"],
                },
            }
        ],
        USE_TZ=True,
        OAUTH2_PROVIDER={
            "SCOPES": {scope: scope for scope in [*SCOPES, "openid"]},
            "DEFAULT_SCOPES": SCOPES,
            "OAUTH2_GRANT_TYPES_SUPPORTED": GRANT_TYPES,
            # The path belongs to the issuer: without this the metadata and `iss` name two issuers.
            "OIDC_ISS_ENDPOINT": f"{base}/o",
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": new_key(),
            "OIDC_RSA_PRIVATE_KEYS_INACTIVE": [],
            "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
            # A logout would end the tokens of the user at all clients, and so other flows.
            "OIDC_RP_INITIATED_LOGOUT_DELETE_TOKENS": False,
            "ACCESS_TOKEN_EXPIRE_SECONDS": ACCESS_TOKEN_LIFETIME,
            "AUTHORIZATION_CODE_EXPIRE_SECONDS": CODE_LIFETIME,
            "REFRESH_TOKEN_EXPIRE_SECONDS": 86400,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "DEVICE_FLOW_INTERVAL": 1,
            "OAUTH_DEVICE_VERIFICATION_URI": f"{base}/o/device/",
            "DCR_ENABLED": True,
            "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"],
            "CIMD_ENABLED": True,
            "CIMD_METADATA_FETCHER": "client_documents.Fetcher",
            "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
            "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
            "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
            "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
        },
    )
    django.setup()


def new_key():
    return JWK.generate(kty="RSA", size=2048).export_to_pem(True, None).decode()


def rotate_keys(request):
    """`POST /rotate-keys`: the old key is still published."""
    from oauth2_provider.settings import oauth2_settings

    configured = settings.OAUTH2_PROVIDER
    configured["OIDC_RSA_PRIVATE_KEYS_INACTIVE"].append(configured["OIDC_RSA_PRIVATE_KEY"])
    configured["OIDC_RSA_PRIVATE_KEY"] = new_key()
    oauth2_settings.reload()
    return HttpResponse(status=204)


def fill(base):
    """Makes the tables, the URLs, the user and the clients."""
    import client_documents
    import protected_resource
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LoginView
    from oauth2_provider import urls
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    library = urls.base_urlpatterns + urls.oidc_urlpatterns + urls.dcr_urlpatterns
    resource, resource_metadata = protected_resource.views(base, SCOPES)
    # The library gives a client one grant; this client has every one.
    Application.allows_grant_type = lambda self, *grant_types: True
    urlpatterns.extend(
        [
            path("accounts/login/", LoginView.as_view(template_name="login.html")),
            path("api", resource),
            path(".well-known/oauth-protected-resource/api", resource_metadata),
            path("client-documents", client_documents.store),
            path("rotate-keys", csrf_exempt(rotate_keys)),
            path("o/", include((library, "oauth2_provider"))),
            path("", include(urls.metadata_urlpatterns)),
        ]
    )
    User.objects.create_user(USER, password=PASSWORD)
    # An algorithm makes a client one of OpenID Connect.
    for client_id, algorithm in [(CLIENT_ID, ""), (OPENID_CLIENT_ID, Application.RS256_ALGORITHM)]:
        Application.objects.create(
            name="Test client",
            client_id=client_id,
            client_secret=CLIENT_SECRET,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
            redirect_uris=" ".join(REDIRECT_URIS),
            post_logout_redirect_uris=POST_LOGOUT_REDIRECT_URI,
            algorithm=algorithm,
        )


def exit_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or 0)
    # One thread, because each thread would get an empty database of its own.
    http = make_server("127.0.0.1", port, None)
    base = f"http://127.0.0.1:{http.server_port}"
    configure(base)
    fill(base)
    http.set_app(get_wsgi_application())
    facts = {
        "issuer": f"{base}/o",
        "metadata_url": f"{base}/.well-known/oauth-authorization-server/o",
        "authorization_endpoint": f"{base}/o/authorize/",
        "token_endpoint": f"{base}/o/token/",
        "revocation_endpoint": f"{base}/o/revoke_token/",
        "introspection_endpoint": f"{base}/o/introspect/",
        "device_authorization_endpoint": f"{base}/o/device-authorization/",
        "pushed_authorization_request_endpoint": None,
        "iss_parameter_supported": True,
        "iss_in_error_responses": False,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": REDIRECT_URIS,
        "scopes": SCOPES,
        "access_token_lifetime": ACCESS_TOKEN_LIFETIME,
        "code_lifetime": CODE_LIFETIME,
        # One client may use either method.
        "post_client_id": CLIENT_ID,
        "refused_scope": None,
        "resource": "https://api.example/",
        "refresh_narrows_scope": True,
        "refresh_token_reuse": "revokes_family",
        "wider": {
            "openid_configuration": True,
            "grant_types": GRANT_TYPES,
            "registration_endpoint": f"{base}/o/register/",
            "registration_management": True,
            "client_documents": f"{base}/client-documents",
            "response_modes": [],
            "prompts": ["none", "login"],
            "api": f"{base}/api",
            "insufficient_scope": "names_no_scope",
            "keys": {
                "openid": {
                    "client_id": OPENID_CLIENT_ID,
                    "end_session": True,
                    "post_logout_redirect_uri": POST_LOGOUT_REDIRECT_URI,
                    "rotation": f"{base}/rotate-keys",
                },
            },
        },
    }
    print("READY", json.dumps(facts), flush=True)
    http.serve_forever()
