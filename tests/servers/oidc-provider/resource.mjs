// A protected resource: reading needs the first scope, writing needs both. A token that is bound to a key needs
// a proof with a nonce (RFC 9449 §7 and §9), and one that is bound to a certificate a connection with it (RFC
// 8705 §3).
import { createHash, createPublicKey, randomUUID, verify } from 'node:crypto';

const nonces = new Set();
const used = new Set();

/** The thumbprint of the key that made the proof, or what is wrong with it. */
function readProof({ method, headers }, url, token) {
  const [header, payload, signature] = (headers.get('DPoP') ?? '').split('.');
  const decode = (part) => JSON.parse(Buffer.from(part ?? '', 'base64url'));
  try {
    const { typ, alg, jwk: { kty, crv, x, y, d } } = decode(header);
    const claims = decode(payload);
    const key = { key: createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
    const digest = { ES256: 'sha256', EdDSA: null }[alg];
    const holds = typ === 'dpop+jwt' && d === undefined && digest !== undefined
      && verify(digest, `${header}.${payload}`, key, Buffer.from(signature, 'base64url'))
      && claims.htm === method && claims.htu === url && claims.ath === sha256(token)
      && Math.abs(claims.iat - Date.now() / 1000) < 60 && !used.has(claims.jti);
    if (!holds) return { error: 'invalid_dpop_proof' };
    if (!nonces.has(claims.nonce)) return { error: 'use_dpop_nonce' };
    used.add(claims.jti);
    // RFC 7638 §3: the members in the order of their names.
    return { thumbprint: sha256(JSON.stringify(y ? { crv, kty, x, y } : { crv, kty, x })) };
  } catch {
    return { error: 'invalid_dpop_proof' };
  }
}

const sha256 = (data) => createHash('sha256').update(data).digest('base64url');

function newNonce() {
  const nonce = randomUUID();
  nonces.add(nonce);
  return nonce;
}

/** Answers a request for `/api` or for its metadata (RFC 9728). */
export async function serveResource(request, provider, scopes, certificate) {
  const resource = `${provider.issuer}/api`;
  const metadataUrl = `${provider.issuer}/.well-known/oauth-protected-resource/api`;
  if (request.url === metadataUrl) {
    return Response.json({
      resource,
      authorization_servers: [provider.issuer],
      scopes_supported: scopes,
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA'],
      tls_client_certificate_bound_access_tokens: true,
      resource_name: 'Exports',
    });
  }
  if (request.url !== resource) return new Response(null, { status: 404 });

  const needed = request.method === 'GET' ? scopes.slice(0, 1) : scopes;
  const challenge = (status, parameters, scheme = 'Bearer', more = {}) => {
    const all = { ...parameters, scope: needed.join(' '), resource_metadata: metadataUrl };
    const text = Object.entries(all).map(([name, value]) => `${name}="${value}"`).join(', ');
    return new Response(null, { status, headers: { 'WWW-Authenticate': `${scheme} ${text}`, ...more } });
  };
  const [, scheme, value] = /^(Bearer|DPoP) (\S+)$/i.exec(request.headers.get('Authorization') ?? '') ?? [];
  if (!value) return challenge(401, {});
  const token = await provider.AccessToken.find(value) ?? await provider.ClientCredentials.find(value);
  const isBound = scheme.toLowerCase() === 'dpop';
  const x5t = token?.['x5t#S256'];
  const presents = x5t === undefined || (certificate && sha256(certificate.raw) === x5t);
  if (!token || token.aud !== resource || isBound !== (token.jkt !== undefined) || !presents) {
    return challenge(401, { error: 'invalid_token' });
  }
  if (isBound) {
    const { error, thumbprint } = readProof(request, resource, value);
    if (error) return challenge(401, { error }, 'DPoP', { 'DPoP-Nonce': newNonce() });
    if (thumbprint !== token.jkt) return challenge(401, { error: 'invalid_token' }, 'DPoP');
  }
  const granted = (token.scope ?? '').split(' ');
  return needed.every((scope) => granted.includes(scope))
    ? Response.json({ client_id: token.clientId, scope: token.scope })
    : challenge(403, { error: 'insufficient_scope' });
}
