"""The web servers of clients: a test stores a client ID metadata document, and the library's fetch gets it back."""

import json

from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.cimd import CIMDError, _validate_client_id_url

MAX_AGE = 300
documents = {}


@csrf_exempt
def store(request):
    """`PUT /client-documents?url=URL`"""
    documents[request.GET["url"]] = request.body
    return HttpResponse(status=204)


class Fetcher:
    """Fetches from the documents only, so that nothing leaves this machine."""

    def fetch(self, client_id):
        _validate_client_id_url(client_id)
        if client_id not in documents:
            raise CIMDError("there is no such document")
        return json.loads(documents[client_id]), MAX_AGE
