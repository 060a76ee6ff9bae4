//! A browser that plays a user by script: it follows redirects, keeps cookies and fills in forms, over loopback only.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::time::Duration;

use ureq::Agent;
use ureq::http::Request;
use ureq::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use url::{Url, form_urlencoded};

/// The most requests that one visit may take.
const MAX_STEPS: usize = 15;
/// Words by which a button or a checkbox agrees.
const AGREE: [&str; 7] = ["accept", "allow", "approve", "authorize", "confirm", "continue", "grant"];
/// Words by which a button or a link refuses.
const REFUSE: [&str; 7] = ["abort", "cancel", "decline", "deny", "disallow", "refuse", "reject"];

/// A user's browser, signed in nowhere at first; the user's name is `user` and the password is `password`.
pub struct Browser {
    agent: Agent,
    cookies: Vec<Cookie>,
}

impl Browser {
    /// A browser without cookies.
    pub fn new() -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let config = config.timeout_global(Some(Duration::from_secs(20))).build();
        Self { agent: config.into(), cookies: Vec::new() }
    }

    /// Signs in and consents; the answer is the whole URL of the callback, which is not contacted.
    pub fn sign_in(&mut self, authorization_url: &str, redirect_uri: &str) -> Result<String, String> {
        self.visit(authorization_url, &User { agrees: true, code: "" }, Some(redirect_uri))
    }

    /// Refuses as soon as a page offers that; the answer is the whole URL of the callback, which is not contacted.
    pub fn refuse(&mut self, authorization_url: &str, redirect_uri: &str) -> Result<String, String> {
        self.visit(authorization_url, &User { agrees: false, code: "" }, Some(redirect_uri))
    }

    /// Enters a device's user code, signs in and consents; the answer is the text of the last page.
    pub fn approve_device(&mut self, verification_uri: &str, user_code: &str) -> Result<String, String> {
        self.visit(verification_uri, &User { agrees: true, code: user_code }, None)
    }

    /// Goes on until a redirect leads to `redirect_uri`, or without one until a page has nothing to fill in.
    fn visit(&mut self, url: &str, user: &User<'_>, redirect_uri: Option<&str>) -> Result<String, String> {
        let mut url = Url::parse(url).map_err(|error| format!("{error}: {url}"))?;
        let mut form = None;
        for _ in 0..MAX_STEPS {
            let page = self.send(&url, form.take())?;
            let tags = tags(&page.html);
            let target = if let Some(location) = page.location {
                if redirect_uri.is_some_and(|uri| is_callback(&location, uri)) {
                    return Ok(location);
                }
                location
            } else if let Some(click) = user.click(&tags).filter(|_| page.status < 400) {
                form = click.fields;
                click.target
            } else {
                let text = tags.iter().map(|tag| tag.text.as_str()).collect::<Vec<_>>().join(" ");
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if redirect_uri.is_none() && page.status == 200 {
                    return Ok(text);
                }
                let excerpt: String = text.chars().take(300).collect();
                return Err(format!("nothing to fill in at {url}: {} {excerpt}", page.status));
            };
            url = url.join(&target).map_err(|error| format!("{error}: {target} on {url}"))?;
        }
        Err(format!("not done after {MAX_STEPS} steps, at {url}"))
    }

    /// Sends one request with the cookies that belong to it, and keeps the cookies that come back.
    fn send(&mut self, url: &Url, form: Option<Fields>) -> Result<Page, String> {
        if url.scheme() != "http" || !matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")) {
            return Err(format!("this browser stays on loopback, and does not go to {url}"));
        }
        let mut request = Request::builder().uri(url.as_str());
        let cookies = self.cookies.iter().filter(|cookie| cookie.goes_to(url));
        let cookies: Vec<_> = cookies.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let response = if let Some(fields) = form {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let request = request.method("POST").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            request.body(body).map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
        } else {
            request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
        };
        let mut response = response.map_err(|error| format!("{error}: {url}"))?;
        for line in response.headers().get_all(SET_COOKIE) {
            if let Some((cookie, expired)) = line.to_str().ok().and_then(|line| Cookie::parse(line, url)) {
                self.cookies.retain(|old| !old.is_replaced_by(&cookie));
                self.cookies.extend((!expired).then_some(cookie));
            }
        }
        let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
        Ok(Page {
            status: response.status().as_u16(),
            location: location.and_then(|value| value.to_str().ok()).map(str::to_owned),
            html: response.body_mut().read_to_string().map_err(|error| format!("{error}: {url}"))?,
        })
    }
}

/// A form's names and values.
type Fields = Vec<(String, String)>;

/// What came back for one request.
struct Page {
    status: u16,
    location: Option<String>,
    html: String,
}

/// A cookie, kept apart by host, port and path.
struct Cookie {
    name: String,
    value: String,
    authority: String,
    path: String,
}

impl Cookie {
    /// Reads `Set-Cookie`, RFC 6265 section 5.2, and whether it deletes; `Domain` and `Secure` mean nothing here.
    fn parse(line: &str, url: &Url) -> Option<(Self, bool)> {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut path = url.path().rsplit_once('/').map_or("/", |(folder, _)| folder);
        let mut expired = false;
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => path = value,
                "max-age" => expired = value.parse().is_ok_and(|seconds: i64| seconds <= 0),
                // The date by which servers delete a cookie.
                "expires" => expired |= value.contains("1970"),
                _ => {}
            }
        }
        let [name, value, path] = [name, value, path.trim_end_matches('/')].map(str::to_owned);
        Some((Self { name, value, authority: url.authority().to_owned(), path }, expired))
    }

    /// Whether the cookie goes with a request to `url`, RFC 6265 section 5.1.4.
    fn goes_to(&self, url: &Url) -> bool {
        let rest = url.path().strip_prefix(self.path.as_str());
        self.authority == url.authority() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether `new` takes this cookie's place.
    fn is_replaced_by(&self, new: &Self) -> bool {
        (&self.name, &self.authority, &self.path) == (&new.name, &new.authority, &new.path)
    }
}

/// What the user wants, and the code that the user reads off a device.
struct User<'a> {
    agrees: bool,
    code: &'a str,
}

/// Where a click leads, and what it posts there.
struct Click {
    target: String,
    fields: Option<Fields>,
}

impl User<'_> {
    /// The user's next click, if the page has a link that refuses or a form that posts.
    fn click(&self, tags: &[Tag]) -> Option<Click> {
        let refusal = tags.iter().find(|tag| !self.agrees && tag.name == "a" && tag.says(&REFUSE));
        if let Some(link) = refusal {
            return Some(Click { target: link.get("href").to_owned(), fields: None });
        }
        let forms = forms(tags);
        let signs_in = |controls: &[&Tag]| controls.iter().any(|tag| tag.get("type") == "password");
        let (form, controls) = forms.iter().find(|(_, controls)| signs_in(controls)).or(forms.first())?;
        let mut fields: Fields = controls.iter().filter_map(|tag| self.fill(tag)).collect();
        let mut buttons = controls.iter().filter(|tag| tag.is_button());
        let button = if self.agrees || signs_in(controls) {
            buttons.clone().find(|tag| tag.says(&AGREE)).or_else(|| buttons.find(|tag| !tag.says(&REFUSE)))
        } else {
            buttons.find(|tag| tag.says(&REFUSE))
        };
        fields.extend(button.map(|tag| (tag.get("name").to_owned(), tag.get("value").to_owned())));
        fields.retain(|(name, _)| !name.is_empty());
        Some(Click { target: form.get("action").to_owned(), fields: Some(fields) })
    }

    /// The field that a control makes once the user has filled it in.
    fn fill(&self, tag: &Tag) -> Option<(String, String)> {
        let value = match (tag.get("type"), tag.get("name")) {
            ("submit" | "button" | "reset" | "image" | "file", _) => return None,
            _ if tag.is_button() => return None,
            ("checkbox", _) if tag.says(&AGREE) && !self.agrees => return None,
            ("checkbox" | "radio", _) if !tag.has("checked") && !tag.says(&AGREE) => return None,
            ("checkbox" | "radio", _) if !tag.has("value") => "on",
            ("password", _) => "password",
            ("" | "text" | "email", "login" | "user" | "username" | "email") => "user",
            ("" | "text", "user_code") => self.code,
            _ => tag.get("value"),
        };
        Some((tag.get("name").to_owned(), value.to_owned()))
    }
}

/// A start tag or an end tag, with its attributes and the text right after it.
struct Tag {
    name: String,
    attributes: Fields,
    text: String,
}

impl Tag {
    /// Reads what stands between `<` and `>`.
    fn parse(tag: &str, text: &str) -> Self {
        let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let mut attributes = Fields::new();
        while !rest.trim_start().is_empty() {
            let (key, after) = match rest.trim_start().split_once(['=', ' ', '\n']) {
                Some((key, after)) if rest.trim_start().as_bytes().get(key.len()) == Some(&b'=') => {
                    (key, Some(after))
                }
                Some((key, after)) => {
                    rest = after;
                    (key, None)
                }
                None => (std::mem::take(&mut rest).trim_start(), None),
            };
            let value = match after {
                None => "",
                Some(after) => {
                    let quote = after.chars().next().filter(|first| matches!(first, '"' | '\''));
                    let end = |c: char| quote.map_or(c.is_whitespace(), |quote| c == quote);
                    let (value, after) = after
                        .get(quote.map_or(0, char::len_utf8)..)
                        .unwrap_or("")
                        .split_once(end)
                        .unwrap_or((after, ""));
                    rest = after;
                    value
                }
            };
            attributes.push((key.trim().to_ascii_lowercase(), unescape(value)));
        }
        Self { name: name.to_ascii_lowercase(), attributes, text: unescape(text) }
    }

    /// Whether the attribute is there.
    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(key, _)| key == name)
    }

    /// The attribute's value, or nothing.
    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether pressing this submits its form.
    fn is_button(&self) -> bool {
        self.get("type") == "submit" || self.name == "button" && !self.has("type")
    }

    /// Whether one of the words is in the name, the value, the address or the text, and none that refuses beside it.
    fn says(&self, words: &[&str; 7]) -> bool {
        let seen = [self.get("name"), self.get("value"), self.get("href"), &self.text].join(" ");
        let seen = seen.to_ascii_lowercase();
        let found = |words: &[&str; 7]| words.iter().any(|word| seen.contains(word));
        found(words) && (words == &REFUSE || !found(&REFUSE))
    }
}

/// Each form that posts, with its controls: those inside it, and those that name it.
fn forms(tags: &[Tag]) -> Vec<(&Tag, Vec<&Tag>)> {
    let mut forms: Vec<(&Tag, Vec<&Tag>)> = Vec::new();
    let mut open = None;
    for tag in tags {
        match tag.name.as_str() {
            "form" => {
                open = Some(forms.len());
                forms.push((tag, Vec::new()));
            }
            "/form" => open = None,
            "input" | "button" => {
                let named =
                    forms.iter().position(|(form, _)| tag.has("form") && form.get("id") == tag.get("form"));
                let index = if tag.has("form") { named } else { open };
                if let Some((_, controls)) = index.and_then(|index| forms.get_mut(index)) {
                    controls.push(tag);
                }
            }
            _ => {}
        }
    }
    forms.retain(|(form, _)| form.get("method").eq_ignore_ascii_case("post"));
    forms
}

/// The tags of a page in order, without its comments, scripts and styles.
fn tags(html: &str) -> Vec<Tag> {
    let mut page = html.to_owned();
    for (start, end) in [("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>")] {
        while let Some((before, rest)) = page.split_once(start) {
            page = format!("{before}{}", rest.split_once(end).map_or("", |(_, after)| after));
        }
    }
    let pieces = page.split('<').skip(1).filter_map(|piece| piece.split_once('>'));
    pieces.map(|(tag, text)| Tag::parse(tag.trim_end_matches('/'), text)).collect()
}

/// Whether a redirect leads back to the client.
fn is_callback(location: &str, redirect_uri: &str) -> bool {
    location.strip_prefix(redirect_uri).is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '#']))
}

/// The five entities that pages use in addresses and values.
fn unescape(text: &str) -> String {
    let quotes = text.replace("&quot;", "\"").replace("&#39;", "'").replace("&#x27;", "'");
    quotes.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
