// A company's identity provider: its token endpoint exchanges one ID token for assertions that another
// authorization server takes (draft-ietf-oauth-identity-assertion-authz-grant).
import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';

const issuer = 'https://idp.example';
const client = { id: 'client-at-the-identity-provider', secret: 'fake-secret-for-tests' };
const idToken = 'fake-id-token';
const lifetime = 300;
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'fake-key', alg: 'RS256', use: 'sig' }] };

const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';
const expected = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  requested_token_type: ID_JAG,
  subject_token: idToken,
  subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
};

export const identityProvider = { issuer, jwksUri: `${issuer}/jwks.json`, algorithms: ['RS256'], jwks };

/** The facts for a client of `audience`, whose identity provider is reached below `base`. */
export const identityProviderFacts = (base, audience, resource) => ({
  token_endpoint: `${base}/idp/token`,
  client_id: client.id,
  client_secret: client.secret,
  id_token: idToken,
  audience,
  resource,
});

/** Answers the request if it is one for this stand-in; the assertion names the client at `audience`. */
export async function exchangeIdToken(request, audience, clientId) {
  if (new URL(request.url).pathname !== '/idp/token') return undefined;
  const refuse = (error, description, status = 400) =>
    Response.json({ error, error_description: description }, { status });
  const credentials = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`;
  if (request.headers.get('Authorization') !== credentials) return refuse('invalid_client', 'wrong credentials', 401);
  const form = new URLSearchParams(await request.text());
  const wrong = Object.keys(expected).find((name) => form.get(name) !== expected[name]);
  if (wrong) return refuse('invalid_request', `wrong ${wrong}`);
  if (form.get('audience') !== audience) return refuse('invalid_target', 'unknown audience');
  const asked = Object.fromEntries([...form].filter(([name]) => ['scope', 'resource'].includes(name)));
  return Response.json({
    access_token: assertion({ aud: audience, client_id: clientId, ...asked }),
    issued_token_type: ID_JAG,
    token_type: 'N_A',
    expires_in: lifetime,
    ...(asked.scope ? { scope: asked.scope } : {}),
  });
}

function assertion(claims) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, sub: 'user', jti: randomUUID(), iat: now, exp: now + lifetime, ...claims };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'RS256', typ: 'oauth-id-jag+jwt', kid: jwks.keys[0].kid })}.${encode(all)}`;
  return `${signed}.${createSign('sha256').update(signed).sign(privateKey, 'base64url')}`;
}
