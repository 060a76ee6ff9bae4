//! Runs the first part of the demonstration: a process dies in the middle of its refresh, and two holders
//! survive.

use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use oauth2_proto::keeper::KeeperError;
use oauth2_proto::{Secret, session::Reason};

use crate::Failure;
use crate::death::{Point, SIGKILL};
use crate::report::Report;
use crate::world::{Keeper, What, World, eventually};

/// Kills a process at this point, and judges what the other holders do.
pub fn show(point: Point, world: &World, report: &mut Report) -> Result<(), Failure> {
    report.heading(format_args!("A process dies by SIGKILL at the point {point:?}"));
    let key = format!("dies at {point}");
    let survivors = Survivors { keepers: [world.keeper()?, world.keeper()?], key: &key };
    survivors.sign_in(world)?;
    let old = survivors.tokens()?;
    let before = world.log()?.len();

    let status = world.spawn(&key, 1, 30, Some(point))?.wait()?;
    let died = Instant::now();
    report.promise("the process was killed in the middle of its refresh", status.signal() == Some(SIGKILL));

    let mut tokens = old.clone();
    let settled = eventually(|| {
        tokens = survivors.tokens()?;
        Ok(tokens.iter().all(Result::is_err) || are_new(&tokens, &old))
    })?;
    let log = world.log()?;
    let count = |what| log[before..].iter().filter(|entry| entry.what == what).count();
    let [refreshed, refused, revoked] = [What::Refreshed, What::RefreshRefused, What::Revoked].map(count);
    report.fact(format_args!("{:.1} s later the survivors have settled", died.elapsed().as_secs_f32()));
    report.fact(format_args!("refresh requests: {refreshed} answered with tokens, {refused} refused"));

    if point.is_in_the_window() {
        report.promise(
            "the lost answer ends in a new sign-in for both survivors",
            tokens.iter().all(|token| *token == Err(Reason::Refused)),
        );
        report.promise(
            "after one attempt with the old refresh token, after which the server revoked the authorization",
            [refreshed, refused, revoked] == [1, 1, 1],
        );
        survivors.sign_in(world)?;
        report.promise(
            "the user signs in again, and both continue under the same key",
            eventually(|| survivors.are_served(world))?,
        );
    } else {
        report.promise(
            "the authorization continues with new tokens in both survivors",
            settled && eventually(|| survivors.are_served(world))?,
        );
        report.promise("no refresh token was used twice", refreshed > 0 && [refused, revoked] == [0, 0]);
    }
    let old = survivors.tokens()?;
    let refreshed = eventually(|| Ok(are_new(&survivors.tokens()?, &old)))?;
    report.promise(
        "the next refresh succeeds as well",
        refreshed && eventually(|| survivors.are_served(world))?,
    );
    Ok(())
}

/// Two processes, of which each has a keeper of its own.
struct Survivors<'a> {
    keepers: [Keeper; 2],
    key: &'a str,
}

/// The access tokens of both, or the reasons why the user must sign in again.
type Tokens = [Result<Secret, Reason>; 2];

impl Survivors<'_> {
    /// Signs the user in at the first of the two.
    fn sign_in(&self, world: &World) -> Result<(), Failure> {
        Ok(self.keepers[0].signed_in(self.key, world.sign_in()?)?)
    }

    fn tokens(&self) -> Result<Tokens, Failure> {
        let token = |keeper: &Keeper| match keeper.access_token(self.key) {
            Ok(token) => Ok(Ok(token.secret().clone())),
            Err(KeeperError::SignIn(reason)) => Ok(Err(reason)),
            Err(error) => Err(error),
        };
        Ok([token(&self.keepers[0])?, token(&self.keepers[1])?])
    }

    /// Returns whether both have the same access token, and the server accepts it.
    fn are_served(&self, world: &World) -> Result<bool, Failure> {
        match self.tokens()? {
            [Ok(first), Ok(second)] => Ok(first == second && world.is_active(&first)?),
            _ => Ok(false),
        }
    }
}

/// Returns whether both have a token other than the old one.
fn are_new(tokens: &Tokens, old: &Tokens) -> bool {
    tokens.iter().zip(old).all(|(token, old)| token.is_ok() && token != old)
}
