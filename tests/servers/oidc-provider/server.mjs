// An authorization server for tests: oidc-provider with its development login and consent pages.
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

// Standard output belongs to the READY line; the library's hints go to standard error.
console.log = console.info = console.warn = console.error;
const { default: Provider, errors } = await import('oidc-provider');
const { fetchDocument, storeDocument } = await import('../stand-ins/client-documents.mjs');
const { listLogoutTokens, receiveLogoutToken } = await import('../stand-ins/logout-listener.mjs');
const { TOKEN_EXCHANGE, JWT_BEARER, registerGrants, assertion } = await import('./grants.mjs');
const keyed = await import('./keys.mjs');
const { serveResource } = await import('./resource.mjs');

process.stdin.on('close', () => process.exit(0)).resume();

const accessTokenTtl = Number(process.env.ACCESS_TOKEN_TTL || 3600);
const codeLifetime = 60;
const scopes = ['export:read', 'export:write'];
const client = {
  client_id: 'test-client',
  client_secret: 'fake-secret-for-tests',
  token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: ['http://127.0.0.1:9/callback', 'https://app.example/callback'],
  response_types: ['code'],
  grant_types: [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    'urn:ietf:params:oauth:grant-type:device_code',
    TOKEN_EXCHANGE,
    JWT_BEARER,
  ],
  authorization_details_types: ['export'],
};
const postClient = { ...client, client_id: 'test-client-post', token_endpoint_auth_method: 'client_secret_post' };
const [authorizationDetailsType] = client.authorization_details_types;

const signingKeys = keyed.newKeys();

const configuration = (issuer, tlsOrigin) => ({
  clients: [client, postClient, ...keyed.clients(client)],
  clientAuthMethods: keyed.clientAuthMethods,
  discovery: { mtls_endpoint_aliases: keyed.aliases(tlsOrigin) },
  jwks: { keys: signingKeys },
  scopes: ['openid', 'offline_access', ...scopes],
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // A refresh token for every code, whatever the scopes; it outlives the browser's session.
  issueRefreshToken: () => true,
  expiresWithSession: () => false,
  fetch: (url, options) =>
    (String(url) === keyed.logoutUri ? receiveLogoutToken(options.body) : fetchDocument(url)),
  ttl: {
    AccessToken: accessTokenTtl,
    AuthorizationCode: codeLifetime,
    ClientCredentials: accessTokenTtl,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: 86400,
    Session: 86400,
  },
  features: {
    ...keyed.features,
    clientCredentials: { enabled: true },
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    deviceFlow: { enabled: true },
    dPoP: {
      enabled: true,
      nonceSecret: randomBytes(32),
      requireNonce: (ctx) =>
        process.env.REQUIRE_DPOP_NONCE === '1' || ctx.oidc.client?.dpopBoundAccessTokens === true,
    },
    introspection: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo(ctx, resource) {
        if (!resource.startsWith('https://api.example/') && resource !== `${issuer}/api`) {
          throw new errors.InvalidTarget();
        }
        const scope = scopes.join(' ');
        return { scope, audience: resource, accessTokenTTL: accessTokenTtl, accessTokenFormat: 'opaque' };
      },
    },
    richAuthorizationRequests: {
      enabled: true,
      types: {
        [authorizationDetailsType]: {
          validate(ctx, detail) {
            const isKnown = (action) => ['read', 'write'].includes(action);
            if (!Array.isArray(detail.actions) || !detail.actions.every(isKnown)) {
              throw new errors.InvalidAuthorizationDetails('unknown action');
            }
          },
        },
      },
      // The user grants all or nothing.
      authorizationDetailsForGrantSource: (ctx) => ctx.oidc.grant.rar,
      authorizationDetailsForAccessToken: (ctx, token, source) => source?.rar,
      authorizationDetailsForIntrospection: (ctx, token) => token.rar,
    },
  },
});

// One line for each token request: the milliseconds of Unix time, the grant type and `ok` or the error code;
// and a line with `revoked` for each authorization whose tokens die together.
function logGrants(provider, file) {
  const log = (...words) => appendFileSync(file, `${Date.now()} ${words.join(' ')}\n`);
  provider.on('grant.success', (ctx) => log(ctx.oidc.params.grant_type, 'ok'));
  provider.on('grant.error', (ctx, error) => log(ctx.oidc.params?.grant_type, error.error));
  provider.on('grant.revoked', () => log('revoked'));
}

// Answers with what the stand-ins and the protected resource say, and otherwise leaves it to the library.
async function serve(provider, library, incoming, outgoing) {
  const url = new URL(incoming.url, provider.issuer);
  if (!/^\/(api|client-documents|logout-tokens|rotate-keys|\.well-known\/oauth-protected-resource)(\/|$)/.test(url.pathname)) {
    return library(incoming, outgoing);
  }
  const body = [];
  for await (const chunk of incoming) body.push(chunk);
  const { method, headers } = incoming;
  const request = new Request(url, { method, headers, body: body.length > 0 ? Buffer.concat(body) : undefined });
  const certificate = incoming.socket.getPeerX509Certificate?.();
  const response = await storeDocument(request) ?? listLogoutTokens(request) ?? rotate(request, provider)
    ?? await serveResource(request, provider, scopes, certificate);
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  outgoing.writeHead(response.status).end(await response.text());
}

/** Answers `POST /rotate-keys`. */
function rotate(request, provider) {
  if (new URL(request.url).pathname !== '/rotate-keys' || request.method !== 'POST') return undefined;
  keyed.rotateKeys(provider, signingKeys);
  return new Response(null, { status: 204 });
}

// The issuer holds the port, so the sockets come first.
const server = createServer();
const tls = keyed.tlsServer();
tls.listen(0, '127.0.0.1', () =>
  server.listen(Number(process.argv[2] || process.env.PORT || 0), '127.0.0.1', start));

async function start() {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const tlsOrigin = `https://127.0.0.1:${tls.address().port}`;
  const provider = new Provider(issuer, configuration(issuer, tlsOrigin));
  registerGrants(provider, scopes);
  const library = provider.callback();
  for (const listener of [server, tls]) {
    listener.on('request', (incoming, outgoing) => serve(provider, library, incoming, outgoing));
  }
  if (process.env.GRANT_LOG) logGrants(provider, process.env.GRANT_LOG);

  const metadataUrl = `${issuer}/.well-known/oauth-authorization-server`;
  const metadata = await (await fetch(metadataUrl)).json();
  process.stdout.write(`READY ${JSON.stringify({
    issuer,
    metadata_url: metadataUrl,
    authorization_endpoint: metadata.authorization_endpoint,
    token_endpoint: metadata.token_endpoint,
    revocation_endpoint: metadata.revocation_endpoint,
    introspection_endpoint: metadata.introspection_endpoint,
    device_authorization_endpoint: metadata.device_authorization_endpoint,
    pushed_authorization_request_endpoint: metadata.pushed_authorization_request_endpoint,
    iss_parameter_supported: metadata.authorization_response_iss_parameter_supported === true,
    iss_in_error_responses: true,
    client_id: client.client_id,
    client_secret: client.client_secret,
    redirect_uris: client.redirect_uris,
    scopes,
    access_token_lifetime: accessTokenTtl,
    code_lifetime: codeLifetime,
    post_client_id: postClient.client_id,
    refused_scope: null,
    resource: 'https://api.example/',
    refresh_narrows_scope: true,
    refresh_token_reuse: 'revokes_family',
    wider: {
      openid_configuration: true,
      grant_types: client.grant_types,
      registration_endpoint: metadata.registration_endpoint,
      registration_management: true,
      client_documents: `${issuer}/client-documents`,
      assertion: assertion(issuer),
      authorization_details_type: authorizationDetailsType,
      response_modes: metadata.response_modes_supported,
      prompts: ['none', 'login'],
      max_age: true,
      // Its library takes `max_age` only with OpenID Connect.
      max_age_needs_openid: true,
      login_hint: true,
      api: `${issuer}/api`,
      insufficient_scope: 'names_scopes',
      keys: keyed.facts(issuer, tlsOrigin),
    },
  })}\n`);
}
