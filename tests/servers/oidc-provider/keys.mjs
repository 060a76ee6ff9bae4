// What this server offers to clients with keys: their registrations, its own keys, and TLS with certificates.
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import initializeKeystore from './node_modules/oidc-provider/lib/helpers/initialize_keystore.js';

const keyFile = (name) => readFileSync(new URL(`../keys/${name}`, import.meta.url), 'utf8');
const { d: _, ...clientKey } = JSON.parse(keyFile('client.jwk.json'));
const certificate = new X509Certificate(keyFile('self-signed.pem'));

const secretJwt = { id: 'test-client-secret-jwt', secret: 'fake-secret-for-tests-with-more-than-32-bytes' };
export const logoutUri = 'https://app.example/back-channel-logout';
const postLogoutRedirectUri = 'http://127.0.0.1:9/signed-out';
const fapi = {
  client_id: 'test-client-fapi',
  certificate_client_id: 'test-client-fapi-certificate',
  openid: true,
};
/** The clients beside `client`, which authenticates with a secret. */
export const clients = (client) => [
  {
    ...withoutSecret(client),
    client_id: 'test-client-key',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [clientKey] },
  },
  {
    ...client,
    client_id: secretJwt.id,
    client_secret: secretJwt.secret,
    token_endpoint_auth_method: 'client_secret_jwt',
  },
  {
    ...withoutSecret(client),
    client_id: 'test-client-tls',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client.example',
  },
  {
    ...withoutSecret(client),
    client_id: 'test-client-self-signed-tls',
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: {
      keys: [{ ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }],
    },
  },
  { ...client, client_id: 'test-client-dpop', dpop_bound_access_tokens: true },
  { ...client, client_id: 'test-client-certificate', tls_client_certificate_bound_access_tokens: true },
  {
    ...withoutSecret(client),
    client_id: 'test-client-certificate-tls',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client.example',
    tls_client_certificate_bound_access_tokens: true,
  },
  {
    ...withoutSecret(client),
    client_id: 'test-client-certificate-public',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    tls_client_certificate_bound_access_tokens: true,
  },
  { ...client, client_id: 'test-client-pushed', require_pushed_authorization_requests: true },
  {
    ...client,
    client_id: 'test-client-signed',
    jwks: { keys: [clientKey] },
    require_signed_request_object: true,
  },
  {
    ...client,
    client_id: 'test-client-openid',
    post_logout_redirect_uris: [postLogoutRedirectUri],
    backchannel_logout_uri: logoutUri,
    backchannel_logout_session_required: true,
  },
  { ...fapiClient(client), client_id: fapi.client_id, dpop_bound_access_tokens: true },
  {
    ...fapiClient(client),
    client_id: fapi.certificate_client_id,
    tls_client_certificate_bound_access_tokens: true,
  },
];

const withoutSecret = ({ client_secret, ...client }) => client;

const fapiClient = (client) => ({
  ...withoutSecret(client),
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [clientKey] },
  redirect_uris: ['https://app.example/callback'],
  require_pushed_authorization_requests: true,
  id_token_signed_response_alg: 'PS256',
});

/** The features that are off by default. */
export const features = {
  backchannelLogout: { enabled: true },
  fapi: {
    enabled: true,
    profile: (ctx, client) =>
      ([fapi.client_id, fapi.certificate_client_id].includes(client?.clientId) ? '2.0' : undefined),
  },
  jwtResponseModes: { enabled: true },
  mTLS: {
    enabled: true,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
    certificateAuthorized: (ctx) => ctx.socket.authorized,
    certificateSubjectMatches: (ctx, property, expected) =>
      property === 'tls_client_auth_san_dns'
      && ctx.socket.getPeerX509Certificate().checkHost(expected, { subject: 'never' }) !== undefined,
  },
  requestObjects: { enabled: true },
};

export const clientAuthMethods = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
];

/** New keys of the server, one for each algorithm that it signs with. */
export const newKeys = () => [
  newKey('RS256', 'rsa', { modulusLength: 2048 }),
  newKey('PS256', 'rsa', { modulusLength: 2048 }),
  newKey('ES256', 'ec', { namedCurve: 'P-256' }),
  newKey('EdDSA', 'ed25519'),
];

const newKey = (alg, type, options) =>
  ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig' });

/** Signs with a new key from now on; the old ones stay published. The library cannot do this while it runs. */
export function rotateKeys(provider, keys) {
  keys.unshift(newKey('RS256', 'rsa', { modulusLength: 2048 }));
  initializeKeystore.call(provider, { keys });
}

/** Serves the same over TLS, and asks for a certificate. */
export const tlsServer = () => createServer({
  key: keyFile('server.key'),
  cert: keyFile('server.pem'),
  ca: keyFile('authority.pem'),
  requestCert: true,
  rejectUnauthorized: false,
});

/** The endpoints that ask for a certificate (RFC 8705 §5). */
export const aliases = (tlsOrigin) => ({
  token_endpoint: `${tlsOrigin}/token`,
  revocation_endpoint: `${tlsOrigin}/token/revocation`,
  introspection_endpoint: `${tlsOrigin}/token/introspection`,
  pushed_authorization_request_endpoint: `${tlsOrigin}/request`,
  device_authorization_endpoint: `${tlsOrigin}/device/auth`,
});

export const facts = (issuer, tlsOrigin) => ({
  private_key_jwt: 'test-client-key',
  client_secret_jwt: secretJwt,
  tls_client_auth: 'test-client-tls',
  self_signed_tls_client_auth: 'test-client-self-signed-tls',
  dpop: 'test-client-dpop',
  certificate_bound: {
    with_secret: 'test-client-certificate',
    with_tls: 'test-client-certificate-tls',
    public: 'test-client-certificate-public',
    api: `${tlsOrigin}/api`,
  },
  pushed: 'test-client-pushed',
  signed: 'test-client-signed',
  jarm: true,
  fapi,
  openid: {
    client_id: 'test-client-openid',
    end_session: true,
    post_logout_redirect_uri: postLogoutRedirectUri,
    logout_tokens: `${issuer}/logout-tokens`,
    rotation: `${issuer}/rotate-keys`,
  },
});
