//! A protected resource, its challenges, and the sign-in that they ask for.

use std::time::SystemTime;

use libtest_mimic::Failed;
use oauth2_proto::authorization::AuthorizationRequest;
use oauth2_proto::challenge::{Challenges, ProtectedApi, StepUp, StepUpPolicy, Verdict};
use oauth2_proto::discovery::ResourceDiscovery;
use oauth2_proto::error::ErrorKind;
use oauth2_proto::token::TokenType;
use oauth2_proto::{Client, Request, Secret, TokenResponse};

use super::discovery::discover_resource;
use super::{Flow, check, client, receive, send};
use crate::browser::Browser;
use crate::foreign::{Facts, InsufficientScope};
use crate::http;

pub const FLOWS: &[Flow] = &[
    Flow {
        title: "an API says what it refuses",
        is_offered: |facts| facts.wider.api.is_some(),
        run: challenges,
    },
    Flow {
        title: "a sign-in steps up to more scopes",
        is_offered: |facts| {
            let answer = facts.wider.insufficient_scope;
            answer.is_some_and(|answer| answer != InsufficientScope::HasNoChallenge)
        },
        run: step_up,
    },
];

/// RFC 6750 §3, RFC 9728 §5: the challenge to a request without a token leads to a sign-in whose token is
/// taken.
fn challenges(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let api = Api::of(facts)?;
    let refusal = api.get(None)?;
    let Verdict::SignIn(Some(challenge)) = refusal.verdict() else {
        return Err(format!("without a token: {refusal:?}").into());
    };
    let discovery = ResourceDiscovery::from_challenge(api.url, challenge.resource_metadata())?;
    let resource = discover_resource(discovery)?;
    check(resource.resource() == api.url, format!("it is {:?}", resource.resource()))?;
    let wanted: Vec<_> = challenge.scopes().collect();
    check(wanted.is_empty() || wanted == facts.scopes[..1], format!("it wants {wanted:?}"))?;

    let refusal = api.get(Some(&Secret::new("fake-token-of-nobody")))?;
    check(refusal.verdict() == Verdict::Rejected, format!("with a token of nobody: {refusal:?}"))?;

    let request = client.authorize(&facts.redirect_uris[0]).scopes(&facts.scopes[..1]);
    let tokens = sign_in(&client, request, facts)?;
    let answer = api.get(Some(tokens.access_token()))?;
    check(answer.status == 200, format!("with a good token: {answer:?}"))?;

    let refusal = api.post(tokens.access_token())?;
    let says = match refusal.verdict() {
        Verdict::StepUp(challenge) if challenge.scopes().eq(facts.scopes.iter().map(String::as_str)) => {
            InsufficientScope::NamesScopes
        }
        Verdict::StepUp(challenge) if challenge.scopes().next().is_none() => InsufficientScope::NamesNoScope,
        Verdict::Forbidden if refusal.challenges.iter().next().is_none() => InsufficientScope::HasNoChallenge,
        _ => return Err(format!("with too few scopes: {refusal:?}").into()),
    };
    check(Some(says) == facts.wider.insufficient_scope, format!("with too few scopes: {refusal:?}"))
}

/// RFC 6750 §3.1: the next sign-in asks for what was granted and what was demanded, and its token is taken.
fn step_up(facts: &Facts) -> Result<(), Failed> {
    let client = client(facts)?;
    let api = Api::of(facts)?;
    let request = || client.authorize(&facts.redirect_uris[0]);
    let tokens = sign_in(&client, request().scopes(&facts.scopes[..1]), facts)?;
    let refusal = api.post(tokens.access_token())?;
    let Verdict::StepUp(challenge) = refusal.verdict() else { return Err(format!("{refusal:?}").into()) };

    let mut step_up = StepUp::default();
    let policy = StepUpPolicy::within(&facts.scopes);
    let demand = step_up.demanded(challenge, tokens.granted_scopes(), &policy);
    let request = if facts.wider.insufficient_scope == Some(InsufficientScope::NamesScopes) {
        demand?;
        request().step_up(&step_up)
    } else {
        let kind = demand.err().map(|error| error.kind());
        check(kind == Some(ErrorKind::Invalid), format!("it demands nothing, and that is {kind:?}"))?;
        // The program then asks for the scopes that the API's documentation names.
        request().scopes(&facts.scopes)
    };
    let tokens = sign_in(&client, request, facts)?;
    let granted: Vec<_> = tokens.granted_scopes().collect();
    check(granted == facts.scopes, format!("granted {granted:?}"))?;
    let answer = api.post(tokens.access_token())?;
    check(answer.status == 200 && answer.verdict() == Verdict::Unrelated, format!("{answer:?}"))
}

/// Signs in for the resource.
fn sign_in(
    client: &Client,
    request: AuthorizationRequest<'_>,
    facts: &Facts,
) -> Result<TokenResponse, Failed> {
    let api = facts.wider.api.as_deref().ok_or("there is no resource")?;
    let (url, mut pending) = request.resource(api).start(SystemTime::now())?;
    let callback = Browser::new().sign_in(&url, &facts.redirect_uris[0])?;
    Ok(send(&receive(client, &mut pending, &callback)?)?)
}

/// A protected resource.
struct Api<'a> {
    url: &'a str,
    api: ProtectedApi,
}

impl<'a> Api<'a> {
    fn of(facts: &'a Facts) -> Result<Self, Failed> {
        let url = facts.wider.api.as_deref().ok_or("there is no resource")?;
        Ok(Self { url, api: ProtectedApi::new([url])? })
    }

    fn get(&self, token: Option<&Secret>) -> Result<Answer, Failed> {
        self.ask("GET", token)
    }

    fn post(&self, token: &Secret) -> Result<Answer, Failed> {
        self.ask("POST", Some(token))
    }

    fn ask(&self, method: &'static str, token: Option<&Secret>) -> Result<Answer, Failed> {
        let mut request = Request::new(method, self.url);
        if let Some(token) = token {
            request.set_header("authorization", self.api.authorization(&TokenType::Bearer, token, self.url)?);
        }
        let (status, headers, _) = http::send(&request)?;
        Ok(Answer { status, challenges: Challenges::from_headers(headers), had_token: token.is_some() })
    }
}

/// What the resource answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    challenges: Challenges,
    had_token: bool,
}

impl Answer {
    fn verdict(&self) -> Verdict<'_> {
        self.challenges.verdict(self.status, self.had_token)
    }
}
