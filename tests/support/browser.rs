//! A browser that plays a user by script: it follows redirects, keeps cookies and fills in forms, over
//! loopback only.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::collections::BTreeMap;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Request;
use ureq::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use url::{Url, form_urlencoded};

/// The maximum number of requests of one visit.
const MAX_STEPS: usize = 15;
/// The words on a button or a checkbox that agrees.
const AGREE: &[&str] = &["accept", "allow", "approve", "authorize", "confirm", "continue", "grant"];
/// The words on a button or a link that refuses.
const REFUSE: &[&str] = &["abort", "cancel", "decline", "deny", "disallow", "refuse", "reject"];

/// The names of the control for the user's name.
const NAMES: &[&str] = &["login", "user", "username", "email"];

/// The end of a visit.
pub enum End {
    /// At one of the addresses to stop at: the whole URL, which is not contacted.
    Callback(String),
    /// At one of the addresses to stop at, with a form that is not sent there.
    Form(String),
    /// At a page that asks for the device's code once more; this is its text.
    CodeAgain(String),
    /// At a page with nothing to fill in.
    Page {
        /// The HTTP status.
        status: u16,
        /// The page's address.
        url: Url,
        /// The page's text.
        text: String,
    },
}

/// A user's browser, signed in nowhere at first; the user's name is `user` and the password is `password`.
pub struct Browser {
    agent: Agent,
    /// Values by host and port, path and name.
    cookies: BTreeMap<[String; 3], String>,
    /// The number of passwords that were entered.
    pub sign_ins: usize,
    /// The user's name that the last sign-in page proposed.
    pub proposed_name: String,
}

impl Browser {
    /// A browser without cookies.
    pub fn new() -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let config = config.timeout_global(Some(Duration::from_secs(20))).build();
        Self { agent: config.into(), cookies: BTreeMap::new(), sign_ins: 0, proposed_name: String::new() }
    }

    /// Signs in and consents; the answer is the whole URL of the callback, which is not contacted.
    pub fn sign_in(&mut self, authorization_url: &str, redirect_uri: &str) -> Result<String, String> {
        callback(self.visit(authorization_url, &[redirect_uri], true, "")?)
    }

    /// Signs in and consents as far as the server lets it, and stops at any of the redirect URIs.
    pub fn try_out(&mut self, authorization_url: &str, redirect_uris: &[&str]) -> Result<End, String> {
        self.visit(authorization_url, redirect_uris, true, "")
    }

    /// Refuses as soon as a page offers that; the answer is the whole URL of the callback, which is not
    /// contacted.
    pub fn refuse(&mut self, authorization_url: &str, redirect_uri: &str) -> Result<String, String> {
        callback(self.visit(authorization_url, &[redirect_uri], false, "")?)
    }

    /// Enters a device's user code, signs in and consents; the answer is the text of the last page.
    pub fn approve_device(&mut self, verification_uri: &str, user_code: &str) -> Result<String, String> {
        match self.visit(verification_uri, &[], true, user_code)? {
            End::Page { status: 200, text, .. } => Ok(text),
            other => callback(other),
        }
    }

    /// Enters a device's user code, signs in and refuses; the answer is the text of the last page.
    pub fn refuse_device(&mut self, verification_uri: &str, user_code: &str) -> Result<String, String> {
        match self.visit(verification_uri, &[], false, user_code)? {
            End::Page { status: 200, text, .. } | End::CodeAgain(text) => Ok(text),
            other => callback(other),
        }
    }

    /// Goes on until a redirect leads to one of `stops`, or until a page has nothing to fill in.
    fn visit(&mut self, url: &str, stops: &[&str], agrees: bool, code: &str) -> Result<End, String> {
        let mut url = Url::parse(url).map_err(|error| format!("{error}: {url}"))?;
        let mut form = None;
        let mut was_asked = false;
        for _ in 0..MAX_STEPS {
            let (status, location, html) = self.send(&url, form.take())?;
            let tags = tags(&html);
            if tags.iter().any(Tag::asks_for_code) && std::mem::replace(&mut was_asked, true) {
                return Ok(End::CodeAgain(text(&tags)));
            }
            let target = if let Some(location) = location {
                if is_at(stops, &location) {
                    return Ok(End::Callback(location));
                }
                location
            } else if let Some((target, body)) = click(&tags, agrees, code).filter(|_| status < 400) {
                form = body;
                if form.is_some() && is_at(stops, &target) {
                    return Ok(End::Form(form.unwrap_or_default()));
                }
                self.notice(&tags);
                target
            } else {
                return Ok(End::Page { status, url, text: text(&tags) });
            };
            url = url.join(&target).map_err(|error| format!("{error}: {target} on {url}"))?;
        }
        Err(format!("not done after {MAX_STEPS} steps, at {url}"))
    }

    /// Remembers what a sign-in page shows.
    fn notice(&mut self, tags: &[Tag]) {
        if tags.iter().any(|tag| tag.get("type") == "password") {
            self.sign_ins += 1;
            let name = tags.iter().find(|tag| NAMES.contains(&tag.get("name")));
            self.proposed_name = name.map_or("", |tag| tag.get("value")).to_owned();
        }
    }

    /// Sends one request with the cookies that belong to it; the answer is its status, `Location` and body.
    fn send(&mut self, url: &Url, form: Option<String>) -> Result<(u16, Option<String>, String), String> {
        if url.scheme() != "http" || !matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")) {
            return Err(format!("this browser stays on loopback, and does not go to {url}"));
        }
        let cookies = self.cookies.iter().filter(|([authority, path, _], _)| {
            let rest = url.path().strip_prefix(path.as_str());
            authority == url.authority() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let cookies: Vec<_> = cookies.map(|([_, _, name], value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().uri(url.as_str());
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if form.is_some() {
            request = request.method("POST").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(form.unwrap_or_default()).map_err(ureq::Error::from);
        let response = request.and_then(|request| self.agent.run(request));
        let mut response = response.map_err(|error| format!("{error}: {url}"))?;
        for line in response.headers().get_all(SET_COOKIE) {
            self.keep(line.to_str().unwrap_or_default(), url);
        }
        let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
        let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let html = response.body_mut().read_to_string().map_err(|error| format!("{error}: {url}"))?;
        Ok((response.status().as_u16(), location, html))
    }

    /// Obeys a `Set-Cookie` line, RFC 6265 section 5.2; `Domain` and `Secure` mean nothing on loopback.
    fn keep(&mut self, line: &str, url: &Url) {
        let mut parts = line.split(';').map(|part| part.trim().split_once('=').unwrap_or((part, "")));
        let (name, content) = parts.next().unwrap_or_default();
        let mut path = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut expired = false;
        for (key, value) in parts {
            match key.to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => path = value.trim_end_matches('/'),
                // The values by which servers delete a cookie.
                "max-age" | "expires" => expired |= value.starts_with(['0', '-']) || value.contains(" 1970 "),
                _ => {}
            }
        }
        let key = [url.authority(), path, name].map(str::to_owned);
        self.cookies.remove(&key);
        self.cookies.extend((!expired).then(|| (key, content.to_owned())));
    }
}

/// Returns whether the address is one of these, whatever its query.
fn is_at(stops: &[&str], address: &str) -> bool {
    let mut rests = stops.iter().filter_map(|uri| address.strip_prefix(uri));
    rests.any(|rest| rest.is_empty() || rest.starts_with(['?', '#', '&']))
}

/// The callback that the visit must have ended at.
fn callback(end: End) -> Result<String, String> {
    match end {
        End::Callback(url) => Ok(url),
        End::Form(_) => Err("the callback came as a form".to_owned()),
        End::CodeAgain(text) => Err(format!("the code is asked for again: {text:.300}")),
        End::Page { status, url, text } => Err(format!("nothing to fill in at {url}: {status} {text:.300}")),
    }
}

/// Returns the address and the body of the next click, if the page has a link that refuses or a form that
/// posts.
fn click(tags: &[Tag], agrees: bool, code: &str) -> Option<(String, Option<String>)> {
    if let Some(link) = tags.iter().find(|tag| !agrees && tag.name == "a" && tag.says(REFUSE)) {
        return Some((link.get("href").to_owned(), None));
    }
    let forms = forms(tags);
    let signs_in = |controls: &[&Tag]| controls.iter().any(|tag| tag.get("type") == "password");
    let (form, controls) = forms.iter().find(|(_, controls)| signs_in(controls)).or(forms.first())?;
    let refuses = !agrees && !signs_in(controls);
    let is_button = |tag: &Tag| matches!((&*tag.name, tag.get("type")), (_, "submit") | ("button", ""));
    let buttons = controls.iter().filter(|tag| is_button(tag) && tag.says(REFUSE) == refuses);
    let pressed = buttons.min_by_key(|tag| !tag.says(AGREE)).map(|tag| (*tag, tag.get("value")));
    let filled = controls.iter().filter_map(|tag| Some((*tag, fill(tag, agrees, code)?))).chain(pressed);
    let pairs = filled.map(|(tag, value)| (tag.get("name"), value)).filter(|(name, _)| !name.is_empty());
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Some((form.get("action").to_owned(), Some(body)))
}

/// Returns the user's input, if the control becomes a field of the form.
fn fill<'a>(tag: &'a Tag, agrees: bool, code: &'a str) -> Option<&'a str> {
    let checked = tag.attributes.iter().any(|(key, _)| key == "checked");
    let ticked = if tag.says(AGREE) { agrees } else { checked };
    match (tag.get("type"), tag.get("name")) {
        ("submit" | "button" | "reset" | "image" | "file", _) => None,
        ("checkbox" | "radio", _) if !ticked => None,
        ("checkbox" | "radio", _) if tag.get("value").is_empty() => Some("on"),
        ("password", _) => Some("password"),
        ("" | "text" | "email", name) if NAMES.contains(&name) => Some("user"),
        _ if tag.asks_for_code() => Some(code),
        _ => (tag.name != "button").then(|| tag.get("value")),
    }
}

/// A start tag or an end tag, with its attributes and the text right after it.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Tag {
    /// The attribute's value, or nothing.
    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn asks_for_code(&self) -> bool {
        self.get("name") == "user_code" && matches!(self.get("type"), "" | "text")
    }

    /// Returns whether one of the words is in the name, the value, the address or the text.
    fn says(&self, words: &[&str]) -> bool {
        let seen = [self.get("name"), self.get("value"), self.get("href"), &self.text].join(" ");
        words.iter().any(|word| seen.to_ascii_lowercase().contains(word))
    }
}

/// The words of a page.
fn text(tags: &[Tag]) -> String {
    let words: Vec<_> = tags.iter().flat_map(|tag| tag.text.split_whitespace()).collect();
    words.join(" ")
}

/// Each form that posts, with its controls: those inside it, and those that name it.
fn forms(tags: &[Tag]) -> Vec<(&Tag, Vec<&Tag>)> {
    let mut forms: Vec<(&Tag, Vec<&Tag>)> = Vec::new();
    for tag in tags {
        match tag.name.as_str() {
            // A control after an end tag belongs to no form that posts.
            "form" | "/form" => forms.push((tag, Vec::new())),
            "input" | "button" => {
                let form = match tag.get("form") {
                    "" => forms.last_mut(),
                    id => forms.iter_mut().find(|(form, _)| form.get("id") == id),
                };
                form.into_iter().for_each(|(_, controls)| controls.push(tag));
            }
            _ => {}
        }
    }
    forms.retain(|(form, _)| form.get("method").eq_ignore_ascii_case("post"));
    forms
}

/// The tags of a page in order, without comments, scripts and styles, after one that holds the text before
/// them.
fn tags(html: &str) -> Vec<Tag> {
    let mut rest = html;
    let text = take(&mut rest, |c| c == '<').to_owned();
    let mut tags = vec![Tag { name: String::new(), attributes: Vec::new(), text }];
    while let Some(after) = rest.strip_prefix('<') {
        rest = after;
        let name = take(&mut rest, |c| !(c.is_ascii_alphanumeric() || c == '/')).to_ascii_lowercase();
        let mut attributes = Vec::new();
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("--").map_or("", |(_, after)| after);
        }
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '/' | '='));
            let key = take(&mut rest, |c| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
            if key.is_empty() {
                break;
            }
            let mut value = "";
            if let Some(after) = rest.trim_start().strip_prefix('=') {
                rest = after.trim_start();
                let quote = ['"', '\''].into_iter().find(|quote| rest.starts_with(*quote));
                rest = &rest[quote.map_or(0, char::len_utf8)..];
                value = take(&mut rest, |c| quote.map_or(c.is_whitespace() || c == '>', |quote| c == quote));
                rest = quote.and_then(|quote| rest.strip_prefix(quote)).unwrap_or(rest);
            }
            attributes.push((key.to_ascii_lowercase(), unescape(value)));
        }
        rest = rest.strip_prefix('>').unwrap_or(rest);
        if matches!(name.as_str(), "script" | "style") {
            rest = rest.find(&format!("</{name}")).map_or("", |end| &rest[end..]);
        }
        let text = unescape(take(&mut rest, |c| c == '<'));
        tags.push(Tag { name, attributes, text });
    }
    tags
}

/// Takes the front of the text up to the first character that ends it.
fn take<'a>(text: &mut &'a str, ends: impl Fn(char) -> bool) -> &'a str {
    let (front, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    *text = rest;
    front
}

/// Undoes the character references that templates make.
fn unescape(text: &str) -> String {
    let references =
        [("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    references.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
