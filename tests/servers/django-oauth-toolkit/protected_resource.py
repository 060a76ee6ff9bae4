"""A protected resource: reading needs the first scope, writing needs both."""

from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.decorators import protected_resource_metadata
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views.metadata import OAuthProtectedResourceMetadataView


class Metadata(OAuthProtectedResourceMetadataView):
    """The library's document, whose resource follows from the address."""

    def get_authorization_servers(self, request):
        return [oauth2_settings.OIDC_ISS_ENDPOINT]


def views(base, scopes):
    """The view of the resource, and the one of its metadata."""
    metadata_url = f"{base}/.well-known/oauth-protected-resource/api"

    def answer(request):
        return JsonResponse({"user": str(request.resource_owner)})

    read = protected_resource_metadata(scopes[:1], resource_metadata_url=metadata_url)(answer)
    write = protected_resource_metadata(scopes, resource_metadata_url=metadata_url)(answer)

    @csrf_exempt
    def resource(request):
        return (read if request.method == "GET" else write)(request)

    return resource, Metadata.as_view()
