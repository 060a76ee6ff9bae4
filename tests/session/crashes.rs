//! A process dies in the middle of a refresh, and another continues from what is stored.

use crate::steps::*;
use crate::store::Store;
use crate::support::later;

/// The points of a refresh at which the process dies, in order.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Crash {
    BeforeTheClaimIsStored,
    ClaimIsStored,
    ClaimIsReported,
    RequestIsMade,
    ServerHasRotated,
    AnswerIsRead,
    TokensAreStored,
    TokensAreReported,
}

#[test]
fn after_a_crash_at_any_point_the_session_resumes_from_the_last_snapshot() {
    let one = ["fake-refresh-0"].as_slice();
    let twice = ["fake-refresh-0", "fake-refresh-0"].as_slice();
    for (crash, resumed_at, end, seen) in [
        (Crash::BeforeTheClaimIsStored, DUE, "idle 3600", one),
        (Crash::ClaimIsStored, DUE, "idle 3665", one),
        (Crash::ClaimIsReported, DUE, "idle 3665", one),
        (Crash::RequestIsMade, DUE, "idle 3665", one),
        // The window that no client can close: the server has rotated, and only the dead process knew the new
        // tokens.
        (Crash::ServerHasRotated, DUE, "reauthorize Refused", twice),
        (Crash::AnswerIsRead, DUE, "reauthorize Refused", twice),
        (Crash::TokensAreStored, DUE, "idle 3600", one),
        (Crash::TokensAreReported, DUE, "idle 3600", one),
        // After the claim is over, nobody waits.
        (Crash::ClaimIsStored, AFTER_CLAIM, "idle 3700", one),
    ] {
        let case = format!("{crash:?}, resumed at {resumed_at}");
        let mut store = Store::default();
        let mut server = RotatingServer::default();
        refresh_until(crash, &mut store, &mut server);
        let mut session = store.holder(later(resumed_at));
        let token = usable(&session, later(resumed_at)).map(str::to_owned);
        let stored = if crash < Crash::TokensAreStored { "fake-access-0" } else { "fake-access-1" };
        assert_eq!(token.as_deref(), Some(stored), "{case}");
        assert_eq!(drive(&mut session, &mut store, &mut server, later(resumed_at)), end, "{case}");
        assert_eq!(server.seen, seen, "{case}");
        if end.starts_with("idle") {
            assert_eq!(usable(&session, later(AFTER_CLAIM)), Some("fake-access-1"), "{case}");
        }
        let mut newcomer = store.holder(later(AFTER_CLAIM));
        assert_eq!(step(&mut newcomer, later(AFTER_CLAIM)), end, "{case}: it is not stored");
    }
}

/// A refresh of the tokens when they are due, whose process dies at this point.
#[track_caller]
fn refresh_until(crash: Crash, store: &mut Store, server: &mut RotatingServer) {
    let mut session = signed_in(store);
    let claim = due_save(&mut session, later(DUE));
    if crash == Crash::BeforeTheClaimIsStored {
        return;
    }
    assert!(store.compare_and_swap(&claim));
    if crash == Crash::ClaimIsStored {
        return;
    }
    session.saved(claim);
    if crash == Crash::ClaimIsReported {
        return;
    }
    let call = send(&mut session, later(DUE));
    if crash == Crash::RequestIsMade {
        return;
    }
    let (status, body) = server.answer(call.request());
    if crash == Crash::ServerHasRotated {
        return;
    }
    answer(&mut session, call, status, &body, later(DUE)).unwrap();
    let learned = due_save(&mut session, later(DUE));
    if crash == Crash::AnswerIsRead {
        return;
    }
    assert!(store.compare_and_swap(&learned));
    if crash == Crash::TokensAreStored {
        return;
    }
    session.saved(learned);
}
