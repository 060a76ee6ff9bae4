//! Runs the first part of the demonstration: a process dies in the middle of its refresh, and two holders
//! survive.

use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use oauth2_proto::{Secret, session::Reason};

use crate::Failure;
use crate::death::{Point, SIGKILL};
use crate::keeper::{Keeper, Next};
use crate::report::Report;
use crate::world::{What, World, eventually};

/// Kills a process at this point, and judges what the other holders do.
pub fn show(point: Point, world: &World, report: &mut Report) -> Result<(), Failure> {
    report.heading(format_args!("A process dies by SIGKILL at the point {point:?}"));
    let key = format!("dies at {point}");
    let send = world.send();
    let tools = world.tools(&send);
    let mut first = Keeper::signed_in(tools, world.store(&key)?, world.sign_in()?)?;
    first.tend()?;
    let old = first.access_token().cloned();
    let mut survivors = Survivors { first, second: world.open(tools, &key)? };
    let before = world.log()?.len();

    let status = world.spawn(&key, 1, 30, Some(point))?.wait()?;
    let died = Instant::now();
    report.promise("the process was killed in the middle of its refresh", status.signal() == Some(SIGKILL));

    let mut ends = [None; 2];
    let settled = eventually(|| {
        ends = survivors.tend()?;
        Ok(ends.iter().all(Option::is_some) || survivors.have_other_than(old.as_ref()))
    })?;
    let log = world.log()?;
    let count = |what| log[before..].iter().filter(|entry| entry.what == what).count();
    let [refreshed, refused, revoked] = [What::Refreshed, What::RefreshRefused, What::Revoked].map(count);
    report.fact(format_args!("{:.1} s later the survivors have settled", died.elapsed().as_secs_f32()));
    report.fact(format_args!("refresh requests: {refreshed} answered with tokens, {refused} refused"));

    if point.is_in_the_window() {
        report.promise(
            "the lost answer ends in Reauthorize for both survivors",
            ends == [Some(Reason::Refused); 2],
        );
        report.promise(
            "after one attempt with the old refresh token, after which the server revoked the authorization",
            [refreshed, refused, revoked] == [1, 1, 1],
        );
        survivors.first = Keeper::signed_in(tools, world.store(&key)?, world.sign_in()?)?;
        survivors.first.tend()?;
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
    let old = survivors.first.access_token().cloned();
    let refreshed = eventually(|| {
        survivors.tend()?;
        Ok(survivors.have_other_than(old.as_ref()))
    })?;
    report.promise(
        "the next refresh succeeds as well",
        refreshed && eventually(|| survivors.are_served(world))?,
    );
    Ok(())
}

struct Survivors<'a> {
    first: Keeper<'a>,
    second: Keeper<'a>,
}

impl Survivors<'_> {
    /// Tends both holders, and returns for each the reason why the user must sign in again, if any.
    fn tend(&mut self) -> Result<[Option<Reason>; 2], Failure> {
        let reason = |next| match next {
            Next::At(_) => None,
            Next::SignIn(reason) => Some(reason),
        };
        Ok([self.first.tend()?, self.second.tend()?].map(reason))
    }

    /// Returns whether both holders have an access token other than `old`.
    fn have_other_than(&self, old: Option<&Secret>) -> bool {
        let tokens = [&self.first, &self.second].map(Keeper::access_token);
        tokens.iter().all(|token| token.is_some() && *token != old)
    }

    /// Returns whether both holders have the same access token, and the server accepts it.
    fn are_served(&mut self, world: &World) -> Result<bool, Failure> {
        self.tend()?;
        let same = self.first.access_token() == self.second.access_token();
        Ok(same && world.is_served(&self.first)?)
    }
}
