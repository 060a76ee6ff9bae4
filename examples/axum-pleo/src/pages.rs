//! Every page: what happened, and what to do next.

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use axum::http::header::REFRESH;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use oauth2_proto::session::{Reason, Trouble};

use crate::api::Connection;
use crate::sign_in::Outcome;

/// A page of one message.
pub struct Page {
    status: StatusCode,
    tone: Tone,
    /// The state in a word or two.
    word: &'static str,
    title: &'static str,
    text: Markup,
    actions: Markup,
}

pub fn welcome() -> Page {
    let text = html! {
        p.lead { "Tally puts your company's expenses into your books, without typing." }
        p {
            "At Pleo you choose the company, and you see what Tally may read before you agree. You can "
            "disconnect at any time."
        }
    };
    Page {
        status: StatusCode::OK,
        tone: Tone::Calm,
        word: "Not connected",
        title: "Connect your company to Pleo",
        text,
        actions: connect("Connect to Pleo"),
    }
}

pub fn connected(connection: &Connection, expires_at: Option<SystemTime>, now: SystemTime) -> Page {
    let text = html! {
        p.lead { "Tally reads your expenses from Pleo. There is nothing for you to do." }
        dl {
            dt { "Company" }
            dd { code { (connection.company) } }
            dt { "Permissions" }
            dd { ul.words { @for scope in &connection.scopes { li { code { (scope) } } } } }
            @if let Some(expires_at) = expires_at {
                dt { "Access lasts" }
                dd { (in_words(expires_at.duration_since(now).unwrap_or_default())) ", and is then renewed" }
            }
            dt { "Checked" }
            dd {
                "Just now; Pleo answered"
                @if let Some(name) = &connection.application { ", and knows us as “" (name) "”" }
            }
        }
    };
    let actions = html! {
        form method="post" action="/disconnect" { button.quiet type="submit" { "Disconnect" } }
        a.link href="/connect" { "Connect another company instead" }
    };
    Page {
        status: StatusCode::OK,
        tone: Tone::Good,
        word: "Connected",
        title: "Your company is connected",
        text,
        actions,
    }
}

pub fn connection_trouble(trouble: Option<&Trouble>, now: SystemTime) -> Response {
    let text = html! {
        p.lead { "Your company stays connected, and nothing is lost." }
        @if let Some(trouble) = trouble {
            p {
                "This has lasted " (in_words(now.duration_since(trouble.since()).unwrap_or_default()))
                ", and we have tried " (times(trouble.failures())) "."
            }
        }
        p { "We keep trying. This page looks again every " (RELOAD) " seconds, so you can leave it open." }
    };
    let actions = html! { a.button href="/" { "Look again now" } };
    let page = Page {
        status: StatusCode::SERVICE_UNAVAILABLE,
        tone: Tone::Warning,
        word: "Connection trouble",
        title: "Pleo is not answering at the moment",
        text,
        actions,
    };
    ([(REFRESH, RELOAD)], page).into_response()
}

pub fn sign_in_again(reason: Reason) -> Page {
    let why = match reason {
        Reason::Refused => {
            "Pleo no longer accepts our access. Perhaps somebody removed it in Pleo's settings, or it was \
             unused for too long."
        }
        Reason::GaveUp => "Pleo has refused to renew our access, and did not say why.",
        Reason::Ended => "The connection was ended here, perhaps in another browser.",
        Reason::NoRefreshToken => "The access that Pleo gave us has run out.",
        _ => "We have no access from Pleo for your company.",
    };
    let text = html! {
        p.lead { (why) }
        p { "Until you connect again, no new expenses arrive. What Tally has already is safe." }
    };
    Page {
        status: StatusCode::OK,
        tone: Tone::Warning,
        word: "Connection ended",
        title: "Please connect again",
        text,
        actions: connect("Connect again"),
    }
}

pub fn disconnected() -> Page {
    let text = html! {
        p.lead { "Tally no longer reads anything from Pleo." }
        p {
            "What Tally has already stays in your books. To take Tally off Pleo's list of apps as well, open "
            "Pleo's settings."
        }
    };
    Page {
        status: StatusCode::OK,
        tone: Tone::Calm,
        word: "Not connected",
        title: "You are disconnected",
        text,
        actions: connect("Connect again"),
    }
}

/// Says how a sign-in ended that connected nothing.
pub fn sign_in(outcome: Outcome) -> Page {
    match outcome {
        Outcome::Refused => {
            let text = html! {
                p.lead { "You said no at Pleo, so Tally got no new access." }
                p { "That is all right. If you pressed the wrong button, try again." }
            };
            let actions = html! { (connect("Try again")) (back()) };
            Page {
                status: StatusCode::OK,
                tone: Tone::Calm,
                word: "Your choice",
                title: "Nothing was connected",
                text,
                actions,
            }
        }
        Outcome::NotValid => {
            let text = html! {
                p.lead {
                    "It does not belong to a sign-in that you started in this browser, so we did nothing."
                }
                p {
                    "Are you in the middle of connecting? Go back to the tab with Pleo's page and finish "
                    "there: that sign-in still works."
                }
                p { "Did somebody send you this link? Close this page." }
            };
            Page {
                status: StatusCode::BAD_REQUEST,
                tone: Tone::Bad,
                word: "Stopped",
                title: "This link is not valid",
                text,
                actions: back_button(),
            }
        }
        Outcome::TooLate => {
            let text = html! {
                p.lead { "A sign-in has to be finished within a few minutes. Nothing was connected." }
                p { "Start again, and you will be done in a moment." }
            };
            let actions = html! { (connect("Start again")) (back()) };
            Page {
                status: StatusCode::BAD_REQUEST,
                tone: Tone::Warning,
                word: "Too late",
                title: "That took too long",
                text,
                actions,
            }
        }
        Outcome::Busy => {
            let text = html! {
                p.lead { "Pleo could not finish the sign-in, so nothing was connected." }
                p { "Wait a minute, and then try again." }
            };
            let actions = html! { (connect("Try again")) (back()) };
            Page {
                status: StatusCode::SERVICE_UNAVAILABLE,
                tone: Tone::Warning,
                word: "Connection trouble",
                title: "Pleo is busy",
                text,
                actions,
            }
        }
        Outcome::OurFault => our_fault(),
    }
}

pub fn our_fault() -> Page {
    let text = html! {
        p.lead { "It is not your fault, and our team can see what happened." }
        p { "Try again in a few minutes. Your connection to Pleo, if you had one, is kept." }
    };
    Page {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        tone: Tone::Bad,
        word: "Error",
        title: "Something is wrong on our side",
        text,
        actions: back_button(),
    }
}

pub fn from_elsewhere() -> Page {
    let text = html! {
        p.lead { "The request came from another website, so we did nothing." }
        p { "To disconnect, use the button on our own page." }
    };
    Page {
        status: StatusCode::FORBIDDEN,
        tone: Tone::Bad,
        word: "Stopped",
        title: "Nothing was changed",
        text,
        actions: back_button(),
    }
}

pub fn not_found() -> Page {
    let text = html! { p.lead { "Perhaps the address has a typing mistake." } };
    Page {
        status: StatusCode::NOT_FOUND,
        tone: Tone::Calm,
        word: "Not found",
        title: "There is no page here",
        text,
        actions: back_button(),
    }
}

fn connect(label: &str) -> Markup {
    html! { a.button href="/connect" { (label) } }
}

fn back_button() -> Markup {
    html! { a.button href="/" { "Go to the start page" } }
}

fn back() -> Markup {
    html! { a.link href="/" { "Go to the start page" } }
}

/// The seconds after which the page about trouble loads itself again. A refresh happens only when somebody
/// asks for a token.
const RELOAD: &str = "10";

/// The colour and the sign of a page.
enum Tone {
    Good,
    Calm,
    Warning,
    Bad,
}

impl Page {
    fn render(&self) -> Markup {
        let (class, sign) = match self.tone {
            Tone::Good => ("good", "M3 8.5l3.5 3.5L13 5"),
            Tone::Calm => ("calm", "M3.5 8h9"),
            Tone::Warning => ("warning", "M8 3v6.2M8 12.2v.3"),
            Tone::Bad => ("bad", "M4 4l8 8M12 4l-8 8"),
        };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " – Tally" }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    header { a href="/" { img src="/icon.svg" alt="" width="28" height="28"; "Tally" } }
                    main {
                        p class={ "badge " (class) } {
                            svg viewBox="0 0 16 16" aria-hidden="true" { path d=(sign) {} }
                            (self.word)
                        }
                        h1 { (self.title) }
                        (self.text)
                        div.actions { (self.actions) }
                    }
                }
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (self.status, self.render()).into_response()
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

/// Returns a duration as people say it.
fn in_words(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "less than a minute".to_owned(),
        1..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_words() {
        for (seconds, words) in [
            (0, "less than a minute"),
            (60, "1 minute"),
            (119 * 60, "119 minutes"),
            (120 * 60, "2 hours"),
            (48 * 60 * 60, "2 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn what_pleo_says_is_escaped() {
        let connection = Connection {
            company: "<script>".to_owned(),
            application: Some("\"&".to_owned()),
            scopes: vec!["<b>".to_owned()],
        };
        let page = connected(&connection, None, SystemTime::UNIX_EPOCH).render().into_string();
        assert!(
            page.contains("&lt;script&gt;") && page.contains("&quot;&amp;") && page.contains("&lt;b&gt;")
        );
        assert!(!page.contains("<script>") && !page.contains("<b>"));
    }
}
