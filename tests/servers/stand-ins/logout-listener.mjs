// A client's web server, to which an authorization server posts logout tokens (OpenID Connect Back-Channel
// Logout §2.5): `GET /logout-tokens` answers with all that came, and nothing leaves this machine.
const tokens = [];

/** Answers the request if it is one for this stand-in. */
export function listLogoutTokens(request) {
  return new URL(request.url).pathname === '/logout-tokens' ? Response.json(tokens) : undefined;
}

/** Does what `fetch` does for a `POST` to the client's address. */
export function receiveLogoutToken(body) {
  tokens.push(body.get('logout_token'));
  return new Response(null, { status: 200 });
}
