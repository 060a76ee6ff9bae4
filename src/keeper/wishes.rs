//! The wishes of a program that are not stored yet, such as the end of an authorization.

use std::time::SystemTime;

use crate::client::Client;
use crate::grants::client_credentials::Asked;
use crate::session::Session;
use crate::text::secret::Secret;

/// The wishes that are not stored yet. A wish is carried out on the session as last loaded, and again if
/// another holder saves first.
#[derive(Default)]
pub(super) struct Wishes {
    /// Start from this if nothing is stored.
    pub(super) start: Option<Start>,
    /// Replace this access token, which the API has rejected.
    pub(super) rejected: Vec<Secret>,
    /// End the authorization.
    pub(super) end: Option<End>,
    /// Refresh at once.
    pub(super) resume: Option<Stage>,
    /// Bind the tokens to the holder's client.
    pub(super) rebind: Option<Stage>,
}

/// The source of a new session.
pub(super) enum Start {
    RefreshToken(Secret),
    ClientCredentials(Asked),
}

/// The wish to end an authorization.
#[derive(Default)]
pub(super) struct End {
    /// The sign-in to end; `None` before the next load. A later sign-in is not ended.
    of: Option<([u8; 16], (u64, u32))>,
}

/// The progress of a wish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Stated,
    /// Carried out on the session, and not stored yet.
    Unsaved,
}

impl Wishes {
    pub(super) fn are_none(&self) -> bool {
        let Self { start, rejected, end, resume, rebind } = self;
        start.is_none() && rejected.is_empty() && end.is_none() && resume.is_none() && rebind.is_none()
    }

    /// Carries out the wishes on the session, which has just been loaded or saved.
    pub(super) fn carry_out(&mut self, session: &mut Session, client: &Client, now: SystemTime) {
        self.start = None;
        for rejected in self.rejected.drain(..) {
            session.access_token_rejected(&rejected);
        }
        if self.rebind.is_some() {
            if session.check_issued_to(client).is_err() {
                session.move_to(client);
            }
            self.rebind = (!session.is_saved()).then_some(Stage::Unsaved);
        }
        if self.resume == Some(Stage::Stated) && session.is_saved() {
            session.resume(now);
            self.resume = (!session.is_saved()).then_some(Stage::Unsaved);
        }
        if let Some(end) = &mut self.end {
            let of = *end.of.get_or_insert(session.sign_in());
            if of == session.sign_in() && !session.is_ended() {
                session.end(now);
            }
            if of != session.sign_in() || session.is_saved() {
                self.end = None;
            }
        }
    }

    /// Drops the wishes that the last save stored.
    pub(super) fn are_stored(&mut self) {
        for wish in [&mut self.resume, &mut self.rebind] {
            if *wish == Some(Stage::Unsaved) {
                *wish = None;
            }
        }
    }

    /// Resets the wishes to be carried out again, because the store refused the save.
    pub(super) fn are_refused(&mut self) {
        for wish in [&mut self.resume, &mut self.rebind].into_iter().flatten() {
            *wish = Stage::Stated;
        }
    }
}
