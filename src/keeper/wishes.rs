//! What was asked of a machine of errands and is not in the store yet.

use std::time::SystemTime;

use crate::client::Client;
use crate::session::Session;
use crate::text::secret::Secret;

/// What was asked for and is not in the store yet. A wish is carried out on what the store holds, and again
/// if another holder was faster to save.
#[derive(Default)]
pub(super) struct Wishes {
    /// To start from this refresh token, if nothing is stored.
    pub(super) refresh_token: Option<Secret>,
    /// To replace this access token, which the API has rejected.
    pub(super) rejected: Option<Secret>,
    /// To end the authorization.
    pub(super) end: Option<End>,
    /// To try again at once.
    pub(super) resume: Option<Stage>,
    /// To bind the tokens to the machine's client.
    pub(super) rebind: Option<Stage>,
}

/// The wish to end an authorization.
#[derive(Default)]
pub(super) struct End {
    /// The sign-in to end, once the store was read. A later one is not ended.
    of: Option<([u8; 16], (u64, u32))>,
}

/// How far a wish has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Stated,
    /// Carried out here, and not stored yet.
    Unsaved,
}

impl Wishes {
    pub(super) fn are_none(&self) -> bool {
        let Self { refresh_token, rejected, end, resume, rebind } = self;
        refresh_token.is_none() && rejected.is_none() && end.is_none() && resume.is_none() && rebind.is_none()
    }

    /// Carries out the wishes on the session, which knows what the store holds.
    pub(super) fn carry_out(&mut self, session: &mut Session, client: &Client, now: SystemTime) {
        self.refresh_token = None;
        if let Some(rejected) = self.rejected.take() {
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

    /// Drops the wishes that the last save has stored.
    pub(super) fn are_stored(&mut self) {
        for wish in [&mut self.resume, &mut self.rebind] {
            if *wish == Some(Stage::Unsaved) {
                *wish = None;
            }
        }
    }

    /// Has the wishes carried out again, because the store has refused them.
    pub(super) fn are_refused(&mut self) {
        for wish in [&mut self.resume, &mut self.rebind].into_iter().flatten() {
            *wish = Stage::Stated;
        }
    }
}
