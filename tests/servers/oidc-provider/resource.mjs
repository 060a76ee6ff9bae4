// A protected resource: reading needs the first scope, writing needs both.

/** Answers a request for `/api` or for its metadata (RFC 9728). */
export async function serveResource(request, provider, scopes) {
  const resource = `${provider.issuer}/api`;
  const metadataUrl = `${provider.issuer}/.well-known/oauth-protected-resource/api`;
  if (request.url === metadataUrl) {
    return Response.json({
      resource,
      authorization_servers: [provider.issuer],
      scopes_supported: scopes,
      bearer_methods_supported: ['header'],
      resource_name: 'Exports',
    });
  }
  if (request.url !== resource) return new Response(null, { status: 404 });

  const needed = request.method === 'GET' ? scopes.slice(0, 1) : scopes;
  const challenge = (status, parameters) => {
    const all = { ...parameters, scope: needed.join(' '), resource_metadata: metadataUrl };
    const text = Object.entries(all).map(([name, value]) => `${name}="${value}"`).join(', ');
    return new Response(null, { status, headers: { 'WWW-Authenticate': `Bearer ${text}` } });
  };
  const [, value] = /^Bearer (\S+)$/i.exec(request.headers.get('Authorization') ?? '') ?? [];
  if (!value) return challenge(401, {});
  const token = await provider.AccessToken.find(value) ?? await provider.ClientCredentials.find(value);
  if (!token || token.aud !== resource) return challenge(401, { error: 'invalid_token' });
  const granted = (token.scope ?? '').split(' ');
  return needed.every((scope) => granted.includes(scope))
    ? Response.json({ client_id: token.clientId, scope: token.scope })
    : challenge(403, { error: 'insufficient_scope' });
}
