//! A browser without a screen: it keeps cookies, and says where a request comes from.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Client, Method, redirect};

use crate::support::World;

pub struct Browser {
    http: Client,
    origin: String,
    authorization_server: String,
    pub cookies: BTreeMap<String, String>,
}

/// What the browser got.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Browser {
    pub fn new(world: &World) -> Self {
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        let authorization_server = world.stand_in.base_url();
        Self { http, origin: world.origin(), authorization_server, cookies: BTreeMap::new() }
    }

    /// Opens a page of the application, as if its address was typed, and follows redirects.
    pub async fn open(&mut self, path: &str) -> Page {
        self.follow(Method::GET, path, "none").await
    }

    /// Opens a page by a link on another site.
    pub async fn open_from_elsewhere(&mut self, path: &str) -> Page {
        self.follow(Method::GET, path, "cross-site").await
    }

    /// Presses a button on a page of the application.
    pub async fn press(&mut self, path: &str) -> Page {
        self.follow(Method::POST, path, "same-origin").await
    }

    /// Posts a form of another site to the application. The cookie goes along, as between two sites under one
    /// domain.
    pub async fn press_elsewhere(&mut self, path: &str) -> Page {
        self.follow(Method::POST, path, "same-site").await
    }

    /// Presses "Connect", and returns the address of the consent page.
    pub async fn connect(&mut self) -> String {
        let url = self.request(Method::GET, "/connect", "same-origin").await.location();
        assert!(url.starts_with(&self.authorization_server), "{url}");
        url
    }

    /// Answers the consent page, and returns the path of the callback.
    pub async fn answer(&self, consent: &str, owner: &str) -> String {
        let form = format!("owner={owner}");
        let answer = self.http.post(consent).body(form).send().await.unwrap();
        let callback = answer.headers()["location"].to_str().unwrap();
        callback.strip_prefix(&self.origin).unwrap().to_owned()
    }

    /// Signs in as a company, and returns the page at the end.
    pub async fn sign_in(&mut self, company: &str) -> Page {
        let consent = self.connect().await;
        let callback = self.answer(&consent, company).await;
        self.open_from_elsewhere(&callback).await
    }

    /// Sends one request, and keeps the cookies of the answer.
    pub async fn request(&mut self, method: Method, path: &str, site: &str) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.request(method, format!("{}{path}", self.origin));
        let request = request.header("sec-fetch-site", site).header(COOKIE, cookies.join("; "));
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        Page { status, headers, text: answer.text().await.unwrap() }
    }

    async fn follow(&mut self, method: Method, path: &str, site: &str) -> Page {
        let mut page = self.request(method, path, site).await;
        while page.status == 303 {
            page = self.request(Method::GET, &page.location(), site).await;
        }
        page
    }
}

impl Page {
    pub fn location(&self) -> String {
        self.headers["location"].to_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn assert(&self, status: u16, texts: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for text in texts {
            assert!(self.text.contains(text), "no {text:?} in {}", self.text);
        }
    }
}
