// An authorization server for tests: workers-oauth-provider outside its runtime, with a store in memory,
// a login page and a consent page.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { register } from 'node:module';

// Standard output belongs to the READY line.
console.log = console.info = console.warn = console.error;
process.stdin.on('close', () => process.exit(0)).resume();

// The library asks its runtime for one base class.
const runtime = 'data:text/javascript,export class WorkerEntrypoint {}';
register(`data:text/javascript,${encodeURIComponent(`
  export const resolve = (specifier, context, next) =>
    specifier === 'cloudflare:workers' ? { url: '${runtime}', shortCircuit: true } : next(specifier, context);
`)}`);
const { fetchDocument, publish, storeDocument } = await import('../stand-ins/client-documents.mjs');
const { exchangeIdToken, identityProvider, identityProviderFacts } = await import('../stand-ins/identity-provider.mjs');
// The runtime's promise that a fetch leaves the machine only for public addresses; here it never leaves.
globalThis.Cloudflare = { compatibilityFlags: { global_fetch_strictly_public: true } };
const fetchFromHere = globalThis.fetch;
globalThis.fetch = async (url) =>
  String(url) === identityProvider.jwksUri ? Response.json(identityProvider.jwks) : fetchDocument(url);
const {
  AuthorizationError,
  CimdFetchError,
  OAuthAuthorizationServer,
  OAuthResourceServer,
  authorizationErrorRedirect,
  insufficientScope,
} = await import('@cloudflare/workers-oauth-provider');

const user = { name: 'user', password: 'password' };
const scopes = ['export:read', 'export:write'];
const client = { id: 'test-client', secret: 'fake-secret-for-tests' };
const postClient = { ...client, id: 'test-client-post' };
const grantTypes = [
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
];
const redirectUris = ['http://127.0.0.1:9/callback', 'https://app.example/callback'];
// The library takes no less than a minute.
const accessTokenTtl = Math.max(60, Number(process.env.ACCESS_TOKEN_TTL || 3600));

/** What the library needs of a key-value store. */
class Store {
  #entries = new Map();

  #live(key) {
    const entry = this.#entries.get(key);
    return entry && entry.expires > Date.now() ? entry : undefined;
  }

  async get(key, options) {
    const value = this.#live(key)?.value ?? null;
    return value !== null && options?.type === 'json' ? JSON.parse(value) : value;
  }

  async put(key, value, { expiration, expirationTtl, metadata } = {}) {
    const expires = expirationTtl ? Date.now() + expirationTtl * 1000 : expiration ? expiration * 1000 : Infinity;
    this.#entries.set(key, { value, expires, metadata });
  }

  async delete(key) {
    this.#entries.delete(key);
  }

  async list({ prefix = '' } = {}) {
    const names = [...this.#entries.keys()].filter((name) => name.startsWith(prefix) && this.#live(name));
    return { keys: names.map((name) => ({ name, metadata: this.#live(name).metadata })), list_complete: true };
  }
}

const env = { OAUTH_KV: new Store() };
const enroll = async ({ id, secret }, tokenEndpointAuthMethod) => env.OAUTH_KV.put(`client:${id}`, JSON.stringify({
  clientId: id,
  clientSecret: createHash('sha256').update(secret).digest('hex'),
  clientName: 'Test client',
  redirectUris,
  grantTypes,
  responseTypes: ['code'],
  tokenEndpointAuthMethod,
  authMethodExplicit: true,
  registrationDate: Math.floor(Date.now() / 1000),
}));
await enroll(client, 'client_secret_basic');
await enroll(postClient, 'client_secret_post');

// The library lets a client have a key only if a document of the client says so.
const keyClientId = 'https://app.example/oauth/client-with-a-key.json';
const { d: _, ...clientKey } = JSON.parse(readFileSync(new URL('../keys/client.jwk.json', import.meta.url), 'utf8'));
publish(keyClientId, {
  client_id: keyClientId,
  client_name: 'Test client',
  redirect_uris: redirectUris,
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  jwks: { keys: [clientKey] },
});

const page = (form) => new Response(`<!doctype html><title>Test</title><form method="post">${form}</form>`, {
  headers: { 'Content-Type': 'text/html; charset=utf-8' },
});
const goTo = (location, headers = new Headers()) => {
  headers.set('Location', location);
  return new Response(null, { status: 302, headers });
};

const sessions = new Set();
const isSignedIn = (request) =>
  (request.headers.get('Cookie') ?? '').split('; ').some((cookie) => sessions.has(cookie.replace('session=', '')));

async function login(request) {
  const form = request.method === 'POST' ? await request.formData() : new FormData();
  if (form.get('username') !== user.name || form.get('password') !== user.password) {
    return page('<input name="username"> <input name="password" type="password"> <button>Sign in</button>');
  }
  const session = randomUUID();
  sessions.add(session);
  const next = new URL(request.url).searchParams.get('next');
  return goTo(next, new Headers({ 'Set-Cookie': `session=${session}; Path=/; HttpOnly` }));
}

async function authorize(request, oauth) {
  if (!isSignedIn(request)) {
    const { pathname, search } = new URL(request.url);
    return goTo(`/login?next=${encodeURIComponent(pathname + search)}`);
  }
  if (request.method === 'POST') {
    const form = await request.formData();
    if (form.get('decision') !== 'allow') {
      return new Response(null, { status: 302, headers: (await oauth.denyConsent(request, form.get('handle'))).headers });
    }
    const approved = await oauth.approveConsent(request, form.get('handle'), {});
    const { redirectTo } = await oauth.completeAuthorization({
      request: approved.request,
      userId: user.name,
      metadata: {},
      scope: approved.request.scope,
      props: {},
      // Every sign-in of a test run is the same user's.
      revokeExistingGrants: false,
    });
    return goTo(redirectTo, approved.headers);
  }
  const asked = await oauth.parseAuthRequest(request);
  // The library requires PKCE of public clients only.
  if (!asked.codeChallenge) return goTo(authorizationErrorRedirect(asked, 'invalid_request'));
  const consent = await oauth.beginConsent(asked);
  const answer = page(`<input type="hidden" name="handle" value="${consent.handle}">
    <button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button>`);
  consent.headers.forEach((value, name) => answer.headers.append(name, value));
  return answer;
}

/** A protected resource: reading needs the first scope, writing needs both. */
const protectedResource = (library, resource, issuer) => new OAuthResourceServer({
  resourceMetadata: { resource, authorization_servers: [issuer], bearer_methods_supported: ['header'] },
  requiredScopes: scopes.slice(0, 1),
  validateToken: (env) => (resource, token) => library.validateToken(resource, token, env),
  handler: {
    fetch(request, env, { auth }) {
      const needed = request.method === 'GET' ? scopes.slice(0, 1) : scopes;
      if (!needed.every((scope) => auth.scope.includes(scope))) return insufficientScope(auth, needed);
      return Response.json({ client_id: auth.clientId, scope: auth.scope.join(' ') });
    },
  },
});

async function handle(request, library, resource) {
  try {
    const { pathname, origin } = new URL(request.url);
    const answer = await storeDocument(request) ?? await exchangeIdToken(request, origin, client.id);
    if (answer) return answer;
    const context = { waitUntil() {}, passThroughOnException() {} };
    if (pathname === '/api' || pathname.startsWith('/.well-known/oauth-protected-resource')) {
      return await resource.fetch(request, env, context);
    }
    if (pathname === '/login') return await login(request);
    if (pathname === '/authorize') return await authorize(request, library.getOAuthApi(env));
    return await library.fetch(request, env, context);
  } catch (error) {
    if (error instanceof CimdFetchError) return new Response(error.message, { status: 400 });
    if (!(error instanceof AuthorizationError)) throw error;
    return error.redirectTo ? goTo(error.redirectTo) : new Response(error.message, { status: 400 });
  }
}

// The issuer holds the port, so the socket comes first.
const server = createServer();
server.listen(Number(process.argv[2] || process.env.PORT || 0), '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const api = `${issuer}/api`;
  const library = new OAuthAuthorizationServer({
    issuer,
    resources: ['https://api.example/', api],
    defaultResource: 'https://api.example/',
    scopesSupported: scopes,
    accessTokenTTL: accessTokenTtl,
    allowTokenExchangeGrant: true,
    clientRegistrationEndpoint: `${issuer}/register`,
    clientIdMetadataDocumentEnabled: true,
    enterpriseManagedAuthorization: {
      trustedIssuers: ({ iss }) => (iss === identityProvider.issuer ? identityProvider : null),
      mapClaims({ claims, requestedScope }) {
        return { userId: claims.sub, scope: requestedScope, metadata: {}, props: {} };
      },
    },
  });
  const resource = protectedResource(library, api, issuer);
  server.on('request', async (incoming, outgoing) => {
    const body = [];
    for await (const chunk of incoming) body.push(chunk);
    const request = new Request(`${issuer}${incoming.url}`, {
      method: incoming.method,
      headers: incoming.headers,
      body: body.length > 0 ? Buffer.concat(body) : undefined,
    });
    const response = await handle(request, library, resource).catch((error) => {
      console.error(error);
      return new Response(null, { status: 500 });
    });
    for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
    outgoing.writeHead(response.status).end(Buffer.from(await response.arrayBuffer()));
  });

  const metadataUrl = `${issuer}/.well-known/oauth-authorization-server`;
  const metadata = await (await fetchFromHere(metadataUrl)).json();
  process.stdout.write(`READY ${JSON.stringify({
    issuer,
    metadata_url: metadataUrl,
    authorization_endpoint: metadata.authorization_endpoint,
    token_endpoint: metadata.token_endpoint,
    revocation_endpoint: metadata.revocation_endpoint ?? null,
    introspection_endpoint: null,
    device_authorization_endpoint: null,
    pushed_authorization_request_endpoint: null,
    iss_parameter_supported: metadata.authorization_response_iss_parameter_supported === true,
    iss_in_error_responses: true,
    client_id: client.id,
    client_secret: client.secret,
    redirect_uris: redirectUris,
    scopes,
    access_token_lifetime: accessTokenTtl,
    code_lifetime: 600,
    post_client_id: postClient.id,
    refused_scope: null,
    resource: 'https://api.example/',
    refresh_narrows_scope: true,
    refresh_token_reuse: 'tolerated_until_successor_is_used',
    wider: {
      grant_types: grantTypes,
      registration_endpoint: metadata.registration_endpoint,
      client_documents: `${issuer}/client-documents`,
      identity_provider: identityProviderFacts(issuer, issuer, 'https://api.example/'),
      api,
      insufficient_scope: 'names_scopes',
      keys: { private_key_jwt: keyClientId },
    },
  })}\n`);
});
