//! The end of a session that the program wants, and servers that end both tokens together.

use oauth2_proto::{Client, ClientAuth, RefreshPolicy, Secret, Session, pleo};

use crate::steps::*;
use crate::store::Store;
use crate::support::{client_of, later, server};

#[test]
fn an_end_is_seen_by_all_holders_and_leaves_the_refresh_token_for_a_revocation() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    let mut other = store.holder(later(1));
    session.end(later(1));
    assert_eq!(usable(&session, later(1)), None, "ended before it is saved");
    save(&mut session, &mut store, later(1));
    adopt(&mut other, &store, later(2));
    for session in [&mut session, &mut other, &mut store.holder(later(2))] {
        for time in [later(2), later(DUE), later(9 * EXPIRY)] {
            assert_eq!(step(session, time), "reauthorize Ended");
            assert_eq!(usable(session, time), None);
        }
        assert_eq!(session.refresh_token().map(Secret::expose), Some("fake-refresh-0"));
        session.resume(later(2));
        session.end(later(2));
        assert_eq!(step(session, later(2)), "reauthorize Ended", "nothing more to save");
    }
    // A new sign-in begins anew.
    other.reauthorized(tokens(&body(5)), later(3));
    save(&mut other, &mut store, later(3));
    assert_eq!(usable(&other, later(3)), Some("fake-access-5"));
    adopt(&mut session, &store, later(3));
    assert_eq!(step(&mut session, later(3)), step(&mut other, later(3)));
}

/// The tokens of a refresh that was under way are the ones to revoke.
#[test]
fn an_end_wins_over_a_refresh_under_way_and_takes_its_tokens() {
    for saved_first in ["the end", "the tokens"] {
        let mut store = Store::default();
        let mut refreshing = claimed(&mut store);
        let mut ending = store.holder(later(DUE));
        let call = send(&mut refreshing, later(DUE));
        ending.end(later(DUE));
        if saved_first == "the end" {
            save(&mut ending, &mut store, later(DUE));
            answer(&mut refreshing, call, 200, &body(1), later(DUE)).unwrap();
            assert!(!try_save(&mut refreshing, &mut store, later(DUE)));
            adopt(&mut refreshing, &store, later(DUE));
            save(&mut refreshing, &mut store, later(DUE));
        } else {
            answer(&mut refreshing, call, 200, &body(1), later(DUE)).unwrap();
            save(&mut refreshing, &mut store, later(DUE));
            assert!(!try_save(&mut ending, &mut store, later(DUE)));
            adopt(&mut ending, &store, later(DUE));
            save(&mut ending, &mut store, later(DUE));
        }
        let mut newcomer = store.holder(later(DUE));
        assert_eq!(step(&mut newcomer, later(DUE)), "reauthorize Ended", "{saved_first}");
        assert_eq!(newcomer.refresh_token().map(Secret::expose), Some("fake-refresh-1"), "{saved_first}");
    }
}

/// The holder that ends it may be the one that refreshes.
#[test]
fn an_answer_after_the_end_brings_nothing_back() {
    for saved in [false, true] {
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        let call = send(&mut session, later(DUE));
        session.end(later(DUE));
        if saved {
            save(&mut session, &mut store, later(DUE));
        }
        answer(&mut session, call, 200, &body(1), later(DUE)).unwrap();
        assert_eq!(usable(&session, later(DUE)), None);
        save(&mut session, &mut store, later(DUE));
        assert_eq!(step(&mut session, later(DUE)), "reauthorize Ended");
        assert_eq!(session.refresh_token().map(Secret::expose), Some("fake-refresh-1"));
    }
}

#[test]
fn an_end_wins_over_a_sign_in_that_is_being_saved() {
    let mut store = Store::default();
    let mut session = signed_in(&mut store);
    session.reauthorized(tokens(&body(5)), later(1));
    let sign_in = due_save(&mut session, later(1));
    session.end(later(1));
    assert!(store.compare_and_swap(&sign_in));
    session.saved(sign_in);
    save(&mut session, &mut store, later(1));
    assert_eq!(step(&mut session, later(1)), "reauthorize Ended");
    assert_eq!(store.value()["refresh_token"], "fake-refresh-5");
}

#[test]
fn where_a_refresh_ends_the_access_token_there_is_none_from_the_sending_to_the_save() {
    for (ends_together, meanwhile) in [(true, None), (false, Some("fake-access-0"))] {
        let server = if ends_together { server().access_tokens_end_with_refresh() } else { server() };
        let client = client_of(server);
        let mut store = Store::default();
        let mut session = claimed(&mut store);
        assert_eq!(usable(&session, later(DUE)), Some("fake-access-0"), "claimed, and nothing sent");
        let call = session.send(&client, later(DUE)).unwrap().unwrap();
        assert_eq!(usable(&session, later(DUE)), meanwhile);
        answer(&mut session, call, 503, "", later(DUE)).unwrap_err();
        assert_eq!(usable(&session, later(DUE)), meanwhile);
        save(&mut session, &mut store, later(DUE));
        assert_eq!(usable(&session, later(DUE)), Some("fake-access-0"), "the server refused to refresh");
        let time = end_of_wait(&mut session, later(DUE));
        save(&mut session, &mut store, time);
        let call = session.send(&client, time).unwrap().unwrap();
        answer(&mut session, call, 200, &body(1), time).unwrap();
        assert_eq!(usable(&session, time), None);
        save(&mut session, &mut store, time);
        assert_eq!(usable(&session, time), Some("fake-access-1"));
        assert_eq!(store.value()["ends_together"], ends_together);
    }
}

#[test]
fn pleo_ends_both_tokens_together() {
    let pleo = Client::new(pleo::staging(), "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let token = Secret::new("fake-refresh-0");
    let mut session = Session::from_refresh_token(&pleo, token, RefreshPolicy::default(), later(0)).unwrap();
    let mut store = Store::default();
    save(&mut session, &mut store, later(0));
    assert_eq!(store.value()["ends_together"], true);
}
