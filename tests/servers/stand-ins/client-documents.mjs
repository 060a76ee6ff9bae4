// The web servers of clients, whose client ID metadata documents an authorization server fetches: a test
// stores a document with `PUT /client-documents?url=URL`, and a fetch of that URL gets it back. Nothing
// leaves this machine.
const documents = new Map();

/** Stores a document without a request. */
export const publish = (url, document) => documents.set(url, JSON.stringify(document));

/** Answers the request if it is one for this stand-in. */
export async function storeDocument(request) {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname !== '/client-documents' || request.method !== 'PUT') return undefined;
  documents.set(searchParams.get('url'), await request.text());
  return new Response(null, { status: 204 });
}

/** Does what `fetch` does for the URLs of these documents; there is no other URL. */
export async function fetchDocument(url) {
  const document = documents.get(String(url));
  return document === undefined
    ? new Response(null, { status: 404 })
    : new Response(document, { headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' } });
}
