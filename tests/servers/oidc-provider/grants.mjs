// The grants that oidc-provider leaves to its users: token exchange (RFC 8693) and JWT bearer (RFC 7523).
import { createHmac, timingSafeEqual } from 'node:crypto';
import { errors } from 'oidc-provider';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** What an assertion must be signed with (HS256) and say. */
export const assertion = (issuer) => ({
  issuer: 'https://sts.example',
  key: 'fake-key-of-a-security-token-service',
  audience: issuer,
  subject: 'user',
});

export function registerGrants(provider, scopes) {
  /** Issues an access token for the resource, or for none, with a grant of its own. */
  async function issue(ctx, { accountId, scope, gty, more = {} }) {
    const { client, params } = ctx.oidc;
    const resources = [params.resource ?? []].flat();
    if (resources.length > 1) throw new errors.InvalidTarget('only one resource is supported');
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    const token = new provider.AccessToken({ accountId, client, gty, scope, grantId: await grant.save() });
    if (resources.length === 1) {
      const { audience, ...info } = await resourceServer(ctx, resources[0]);
      token.resourceServer = new provider.ResourceServer(resources[0], { audience, ...info });
    }
    ctx.body = {
      access_token: await token.save(),
      token_type: token.tokenType,
      expires_in: token.expiration,
      scope,
      ...more,
    };
  }

  const resourceServer = (ctx, resource) => {
    if (resource !== `${provider.issuer}/api`) throw new errors.InvalidTarget();
    return { audience: resource, scope: scopes.join(' '), accessTokenFormat: 'opaque' };
  };

  /** The scopes asked for, none of which may be missing among `available`; all of those if none is asked for. */
  const narrowed = (asked, available) => {
    const wanted = asked ? asked.split(' ') : available;
    const exceeds = wanted.some((scope) => !available.includes(scope));
    if (exceeds) throw new errors.InvalidScope('scope exceeds the grant', asked);
    return wanted.join(' ');
  };

  provider.registerGrantType(TOKEN_EXCHANGE, async (ctx) => {
    const { params } = ctx.oidc;
    for (const name of ['subject_token', 'subject_token_type']) {
      if (!params[name]) throw new errors.InvalidRequest(`missing ${name}`);
    }
    for (const name of ['subject_token_type', 'actor_token_type', 'requested_token_type']) {
      if (params[name] && params[name] !== ACCESS_TOKEN) throw new errors.InvalidRequest(`unsupported ${name}`);
    }
    // RFC 8693 §2.2.2: a token that is not good for this is an invalid request.
    const find = async (value) => {
      const token = await provider.AccessToken.find(value);
      if (!token) throw new errors.InvalidRequest('the token is invalid');
      return token;
    };
    const subject = await find(params.subject_token);
    if (params.actor_token) await find(params.actor_token);
    await issue(ctx, {
      accountId: subject.accountId,
      scope: narrowed(params.scope, subject.scope.split(' ')),
      gty: 'token_exchange',
      more: { issued_token_type: ACCESS_TOKEN },
    });
  }, ['audience', 'resource', 'scope', 'requested_token_type', 'subject_token', 'subject_token_type', 'actor_token',
    'actor_token_type'], ['audience', 'resource']);

  provider.registerGrantType(JWT_BEARER, async (ctx) => {
    const expected = assertion(provider.issuer);
    const claims = verified(ctx.oidc.params.assertion, expected);
    await issue(ctx, { accountId: claims.sub, scope: narrowed(ctx.oidc.params.scope, scopes), gty: 'jwt_bearer' });
  }, ['assertion', 'resource', 'scope'], ['resource']);
}

/** The claims of an assertion that its issuer signed for this server, RFC 7523 §3. */
function verified(text, { issuer, key, audience, subject }) {
  const [header, payload, signature] = String(text ?? '').split('.');
  const expected = createHmac('sha256', key).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature ?? '', 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new errors.InvalidGrant('the signature does not match');
  }
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const isLive = claims.exp > Date.now() / 1000;
  if (!isLive || claims.iss !== issuer || claims.aud !== audience || claims.sub !== subject) {
    throw new errors.InvalidGrant('the claims do not hold');
  }
  return claims;
}
