//! The machine of errands, one errand at a time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use oauth2_proto::keeper::{Errand, Errands, KeeperError, Refreshed};
use oauth2_proto::session::{Save, WaitReason};
use oauth2_proto::{Response, Secret, Snapshot, TokenResponse};

use crate::world::{LIFETIME, client, policy};

const DUE: u64 = LIFETIME * 4 / 5;

fn later(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1_700_000_000.0 + seconds)
}

fn tokens(number: u32) -> String {
    format!(
        r#"{{"access_token":"fake-access-{number}","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"fake-refresh-{number}"}}"#
    )
}

/// A machine with a store of one row, and the words for its errands.
struct Holder {
    errands: Errands,
    row: Option<Snapshot>,
    /// The errand that was not reported yet.
    open: Option<Errand>,
}

impl Holder {
    fn new(row: Option<Snapshot>) -> Self {
        Self { errands: Errands::new(client(), policy()), row, open: None }
    }

    /// A holder whose user has signed in.
    #[track_caller]
    fn signed_in() -> Self {
        let mut holder = Self::new(None);
        let tokens = TokenResponse::for_test(&client(), &tokens(1)).unwrap();
        holder.errands.signed_in(tokens, later(0.0)).unwrap();
        assert_eq!(holder.until_done(later(0.0)), "load, swap 1, fake-access-1");
        holder
    }

    /// The word for the next errand.
    fn next(&mut self, now: SystemTime) -> String {
        let errand = self.errands.next(now);
        let word = match &errand {
            Errand::Load => "load".to_owned(),
            Errand::Swap(save) => format!("swap {}", save.snapshot().revision()),
            Errand::Sign { .. } => "sign".to_owned(),
            Errand::Send { call, .. } => {
                let form = call.request().form();
                format!("send {}", form.into_iter().find(|(name, _)| name == "refresh_token").unwrap().1)
            }
            Errand::Sleep(until) => format!("sleep {:?}", until.duration_since(now).unwrap_or_default()),
            Errand::Token(token) => token.secret().expose().to_owned(),
            Errand::NoToken(error) => match error {
                KeeperError::SignIn(reason) => format!("sign in: {reason:?}"),
                KeeperError::NotNow { reason, .. } => format!("not now: {reason:?}"),
                other => format!("{other:?}"),
            },
        };
        self.open = Some(errand);
        word
    }

    fn load(&mut self, now: SystemTime) {
        self.errands.loaded(self.row.clone(), now);
    }

    fn compare_and_swap(&mut self, save: &Save) -> bool {
        let is_accepted = self.row.as_ref().map_or(0, Snapshot::revision) == save.expected_revision();
        if is_accepted {
            self.row = Some(save.snapshot().clone());
        }
        is_accepted
    }

    /// Does the errand, with the answer to a refresh, and reports it.
    fn report(&mut self, status: u16, body: &str, now: SystemTime) {
        match self.open.take() {
            Some(Errand::Load) => self.load(now),
            Some(Errand::Swap(save)) => {
                let is_accepted = self.compare_and_swap(&save);
                self.errands.swapped(save, is_accepted, now);
            }
            Some(Errand::Send { call, .. }) => {
                let json = [("content-type", "application/json")];
                let _ = self.errands.answered(call, Some(Response::new(status, json, body.as_bytes())), now);
            }
            _ => {}
        }
    }

    /// Does these errands, with the answer to a refresh, and reports each.
    #[track_caller]
    fn does(&mut self, words: &[&str], status: u16, body: &str, now: SystemTime) {
        for word in words {
            assert_eq!(self.next(now), *word);
            self.report(status, body, now);
        }
    }

    /// Does every errand at one time, and returns the words for them. A sleep ends it.
    fn until_done(&mut self, now: SystemTime) -> String {
        let mut words = Vec::new();
        loop {
            words.push(self.next(now));
            match &self.open {
                Some(Errand::Sleep(_) | Errand::Token(_) | Errand::NoToken(_)) => return words.join(", "),
                _ => self.report(200, &tokens(2), now),
            }
        }
    }
}

#[test]
fn the_errands_of_a_sign_in_a_refresh_and_an_end() {
    let mut holder = Holder::signed_in();
    assert_eq!(holder.until_done(later(1.0)), "fake-access-1");
    let due = later(DUE as f64);
    assert_eq!(holder.until_done(due), "load, swap 2, send fake-refresh-1, swap 3, fake-access-2");
    holder.errands.end();
    assert_eq!(holder.until_done(due), "load, swap 4, sign in: Ended");
    assert_eq!(holder.errands.session().unwrap().refresh_token().map(Secret::expose), Some("fake-refresh-2"));
}

/// Another process saves the sign-in between the load and the save of the end.
#[test]
fn an_end_that_crosses_a_later_sign_in_leaves_it_alone() {
    let mut holder = Holder::signed_in();
    let mut elsewhere = Holder::new(holder.row.clone());
    holder.errands.end();
    holder.does(&["load"], 0, "", later(1.0));
    let again = TokenResponse::for_test(&client(), &tokens(7)).unwrap();
    elsewhere.errands.signed_in(again, later(2.0)).unwrap();
    assert_eq!(elsewhere.until_done(later(2.0)), "load, swap 2, fake-access-7");
    holder.row = elsewhere.row;
    assert_eq!(holder.until_done(later(2.0)), "swap 2, load, fake-access-7");
    assert_eq!(holder.until_done(later(3.0)), "fake-access-7");
}

#[test]
fn an_errand_that_is_not_reported_comes_again() {
    let mut holder = Holder::signed_in();
    let due = later(DUE as f64);
    for word in ["load", "swap 2"] {
        for _ in 0..3 {
            assert_eq!(holder.next(due), word);
        }
        holder.report(0, "", due);
    }
    // A request is sent once. Its answer may still come, until the end of the claim.
    assert_eq!(holder.next(due), "send fake-refresh-1");
    assert_eq!(holder.until_done(due), "sleep 50ms");
    let over = due + Duration::from_secs(66);
    assert_eq!(holder.until_done(over), "load, swap 3, send fake-refresh-1, swap 4, fake-access-2");
}

/// Two tasks that share a machine carry out one errand. The store accepts the first save and refuses the
/// second.
#[test]
fn a_save_that_is_reported_twice_is_done_when_it_was_accepted_once() {
    for (reports_refusal_first, last_words) in
        [(false, "swap 3, fake-access-2"), (true, "swap 3, load, fake-access-2")]
    {
        let mut holder = Holder::signed_in();
        let due = later(DUE as f64);
        assert_eq!(holder.next(due), "load");
        holder.report(0, "", due);
        let saves = [(); 2].map(|()| {
            assert_eq!(holder.next(due), "swap 2");
            let Some(Errand::Swap(save)) = holder.open.take() else { panic!() };
            save
        });
        let accepted = saves.each_ref().map(|save| holder.compare_and_swap(save));
        assert_eq!(accepted, [true, false]);
        let mut reports: Vec<_> = saves.into_iter().zip(accepted).collect();
        if reports_refusal_first {
            reports.reverse();
        }
        for (save, accepted) in reports {
            holder.errands.swapped(save, accepted, due);
        }
        assert_eq!(holder.until_done(due), format!("send fake-refresh-1, {last_words}"));
    }
}

#[test]
fn a_resume_that_lost_a_race_is_carried_out_again() {
    let mut holder = Holder::signed_in();
    let late = later(LIFETIME as f64);
    holder.does(&["load", "swap 2", "send fake-refresh-1", "swap 3"], 503, "", late);
    let mut other = Holder::new(holder.row.clone());
    holder.errands.resume();
    assert_eq!(holder.next(late), "load");
    holder.report(0, "", late);
    assert_eq!(holder.next(late), "swap 4");
    // The pause is over, and another holder fails again.
    let over = late + Duration::from_secs(2);
    other.does(&["load", "swap 4", "send fake-refresh-1", "swap 5"], 503, "", over);
    holder.row = other.row;
    assert_eq!(
        holder.until_done(over),
        "swap 4, load, swap 6, swap 7, send fake-refresh-1, swap 8, fake-access-2"
    );
}

/// A virtual machine was suspended, or the clock is coarse.
#[test]
fn the_store_is_looked_into_after_each_sleep_although_the_clock_stands_still() {
    let mut holder = Holder::signed_in();
    let mut other = Holder::new(holder.row.clone());
    let late = later(LIFETIME as f64);
    other.does(&["load", "swap 2"], 0, "", late);
    holder.row = other.row.clone();
    for sleep in ["50ms", "100ms", "200ms"] {
        assert_eq!(holder.until_done(late), format!("load, sleep {sleep}"));
    }
    assert_eq!(other.until_done(late), "send fake-refresh-1, swap 3, fake-access-2");
    holder.row = other.row;
    assert_eq!(holder.until_done(late), "load, fake-access-2");
}

/// The store accepted the save, and its answer was lost.
#[test]
fn a_save_whose_outcome_is_unknown_comes_again() {
    let mut holder = Holder::signed_in();
    let due = later(DUE as f64);
    holder.does(&["load", "swap 2", "send fake-refresh-1"], 200, &tokens(2), due);
    assert_eq!(holder.next(due), "swap 3");
    let Some(Errand::Swap(save)) = holder.open.take() else { panic!() };
    assert!(holder.compare_and_swap(&save));
    assert_eq!(holder.until_done(due), "swap 3, load, fake-access-2");
}

#[test]
fn a_store_that_has_lost_a_write_is_read_four_times_before_it_gets_it_again() {
    let mut holder = Holder::signed_in();
    let first = holder.row.clone();
    let due = later(DUE as f64);
    assert_eq!(holder.until_done(due), "load, swap 2, send fake-refresh-1, swap 3, fake-access-2");
    holder.row = first;
    let mut time = due + Duration::from_secs(DUE);
    assert_eq!(holder.until_done(time), "load, swap 4, load, sleep 1s");
    for _ in 0..2 {
        time += Duration::from_secs(1);
        assert_eq!(holder.until_done(time), "load, sleep 1s");
    }
    time += Duration::from_secs(1);
    assert_eq!(holder.until_done(time), "load, swap 2, swap 3, send fake-refresh-2, swap 4, fake-access-2");
}

#[test]
fn another_holder_is_waited_for_and_its_outcome_is_looked_for_often_at_first() {
    let mut holder = Holder::signed_in();
    let mut other = Holder::new(holder.row.clone());
    let due = later(DUE as f64);
    other.does(&["load", "swap 2"], 0, "", due);
    // The other one dies after its claim.
    holder.row = other.row;
    holder.errands.access_token_rejected(&Secret::new("fake-access-1"), due);
    let (mut sleeps, mut now) = (Vec::new(), due);
    loop {
        let words = holder.until_done(now);
        let Some(Errand::Sleep(until)) = holder.open.take() else {
            assert_eq!(words, "load, not now: AnotherHolder");
            break;
        };
        sleeps.push(until.duration_since(now).unwrap());
        now = until;
    }
    assert_eq!(now, due + Duration::from_secs(30));
    assert_eq!(sleeps.first(), Some(&Duration::from_millis(50)));
    assert!(sleeps.iter().filter(|sleep| **sleep == Duration::from_secs(1)).count() > 20, "{sleeps:?}");
    // The next caller waits anew.
    assert_eq!(holder.until_done(now + Duration::from_secs(1)), "load, sleep 1s");
}

/// At most servers the old token lives on, and at some (Pleo's) it ends with the refresh of the other holder.
#[test]
fn while_another_holder_refreshes_the_old_token_is_given_and_the_new_one_looked_for() {
    let mut holder = Holder::signed_in();
    let mut other = Holder::new(holder.row.clone());
    let due = later(DUE as f64);
    other.does(&["load", "swap 2"], 0, "", due);
    holder.row = other.row.clone();
    assert_eq!(holder.until_done(due), "load, fake-access-1");
    let at = |milliseconds| due + Duration::from_millis(milliseconds);
    assert_eq!(holder.until_done(at(10)), "fake-access-1");
    for milliseconds in [50, 150, 350, 750, 1550, 2550] {
        assert_eq!(holder.until_done(at(milliseconds - 1)), "fake-access-1", "{milliseconds}");
        assert_eq!(holder.until_done(at(milliseconds)), "load, fake-access-1", "{milliseconds}");
    }
    assert_eq!(other.until_done(at(3000)), "send fake-refresh-1, swap 3, fake-access-2");
    holder.row = other.row;
    assert_eq!(holder.until_done(at(3550)), "load, fake-access-2");
}

/// A holder died after its claim, and another one was faster to make the next.
#[test]
fn the_looks_begin_anew_with_the_claim_of_another_holder() {
    let mut holder = Holder::signed_in();
    let (mut dead, mut faster) = (Holder::new(holder.row.clone()), Holder::new(None));
    let late = later(LIFETIME as f64);
    dead.does(&["load", "swap 2"], 0, "", late);
    holder.row = dead.row.clone();
    faster.row = dead.row;
    let over = later(LIFETIME as f64 + 65.0);
    assert_eq!(holder.until_done(over - Duration::from_secs(1)), "load, sleep 50ms");
    faster.does(&["load", "swap 3"], 0, "", over);
    holder.row = faster.row;
    assert_eq!(holder.until_done(over), "swap 3, load, sleep 50ms");
}

#[test]
fn a_clock_that_was_set_back_makes_a_reading_too_old() {
    let mut holder = Holder::signed_in();
    assert_eq!(holder.until_done(later(-3.0)), "load, fake-access-1");
}

#[test]
fn a_pause_that_outlasts_the_patience_is_not_waited_for() {
    let mut holder = Holder::signed_in();
    let late = later(LIFETIME as f64);
    holder.does(&["load", "swap 2", "send fake-refresh-1"], 429, r#"{"error":"slow_down"}"#, late);
    assert_eq!(holder.until_done(late).split(", ").next(), Some("swap 3"));

    let mut holder = Holder::signed_in();
    for word in ["load", "swap 2", "send fake-refresh-1"] {
        assert_eq!(holder.next(late), word);
        match holder.open.take() {
            Some(Errand::Send { call, .. }) => {
                let busy = Response::new(503, [("retry-after", "31")], b"");
                let outcome = holder.errands.answered(call, Some(busy), late);
                assert!(matches!(outcome, Refreshed::Failed(_)), "{outcome}");
            }
            open => {
                holder.open = open;
                holder.report(0, "", late);
            }
        }
    }
    assert_eq!(holder.until_done(late), "swap 3, not now: Pause");
}

#[test]
fn a_refresh_token_from_elsewhere_starts_a_session_unless_one_is_stored() {
    let mut holder = Holder::new(None);
    let token = |text: &str| Secret::new(text);
    holder.errands.start_from_refresh_token(token("fake-refresh-1")).unwrap();
    assert_eq!(
        holder.until_done(later(0.0)),
        "load, swap 1, swap 2, send fake-refresh-1, swap 3, fake-access-2"
    );
    // The migration runs again.
    let mut again = Holder::new(holder.row.clone());
    again.errands.start_from_refresh_token(token("fake-refresh-1")).unwrap();
    assert_eq!(again.until_done(later(1.0)), "load, fake-access-2");
    let error = again.errands.start_from_refresh_token(token("fake\n")).unwrap_err();
    assert!(error.to_string().starts_with("misuse: "), "{error}");
}

#[test]
fn a_table_of_machines_serves_many_users() {
    let mut users: BTreeMap<&str, Holder> = ["a", "b", "c"].map(|user| (user, Holder::signed_in())).into();
    for holder in users.values_mut() {
        assert_eq!(
            holder.until_done(later(DUE as f64)),
            "load, swap 2, send fake-refresh-1, swap 3, fake-access-2"
        );
    }
}

#[test]
fn messages_say_what_to_do() {
    let not_now = KeeperError::NotNow {
        until: SystemTime::UNIX_EPOCH,
        reason: WaitReason::AnotherHolder,
        trouble: None,
    };
    assert_eq!(
        not_now.to_string(),
        "no access token now; ask again at Thu, 01 Jan 1970 00:00:00 GMT, because another holder refreshes"
    );
}
