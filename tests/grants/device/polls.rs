//! The polls of a device as timelines, in seconds from the answer that gave out the codes.

use oauth2_proto::grants::device::{End, Step};
use oauth2_proto::{
    Advice, AuthorizationServer, Client, ClientAuth, RefreshPolicy, Response, Secret, Session,
    error::ErrorKind,
};
use std::time::{Duration, SystemTime};

use super::*;
use crate::support::later;

#[test]
fn rfc8628_section_3_4_the_example_request() {
    let mut device = device();
    let call = send(&mut device, INTERVAL);
    assert_eq!((call.request().method(), call.request().url()), ("POST", "https://server.example.com/token"));
    assert_eq!(
        call.request().body(),
        format!("{GRANT_TYPE}&device_code=GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS&client_id=1406020730")
    );
}

#[test]
fn rfc8628_section_3_4_a_client_with_credentials_authenticates() {
    let client = Client::new(server(), "fake-client", ClientAuth::basic("fake-secret")).unwrap();
    let call = client.device_authorization().start(SystemTime::UNIX_EPOCH).unwrap();
    let mut device = call.read(json(ANSWER)).unwrap().begin(later(0));
    let call = device.send(&client, later(INTERVAL)).unwrap().unwrap();
    assert!(call.request().header("authorization").unwrap().starts_with("Basic "));
    assert!(!call.request().body().contains("client_id"), "{}", call.request().body());
}

#[test]
fn rfc8628_section_3_5_a_whole_sign_in_waits_the_interval_before_each_request() {
    let mut device = device();
    assert_waits(&mut device, 0, 5);
    assert_waits(&mut device, 4, 5);
    let call = send(&mut device, 5);
    // No second request is sent while one is in flight.
    assert_waits(&mut device, 6, 5 + ANSWER_TIME);
    assert_waits(&mut device, 20, 5 + ANSWER_TIME);
    // The pause begins with the answer.
    assert!(receive(&mut device, call, (400, PENDING), 21).unwrap().is_none());
    assert_waits(&mut device, 21, 26);
    assert_waits(&mut device, 25, 26);
    let call = send(&mut device, 26);
    let tokens = receive(&mut device, call, (200, TOKENS), 27).unwrap().unwrap();
    assert_eq!(tokens.access_token().expose(), "fake-access");
    assert_eq!(tokens.refresh_token().map(Secret::expose), Some("fake-refresh"));
    // RFC 6749 §5.1: the scopes that were asked for, where the answer names none.
    assert_eq!(tokens.granted_scopes().collect::<Vec<_>>(), ["example_scope"]);
    assert_eq!(device.poll(later(100)), Step::Ended(End::Granted));
    assert!(device.send(&client(), later(100)).unwrap().is_none());

    let session = Session::new(tokens, RefreshPolicy::default(), later(27));
    assert_eq!(session.granted_scopes().collect::<Vec<_>>(), ["example_scope"]);
}

#[test]
fn rfc8628_section_3_2_the_interval_is_five_seconds_where_none_is_given() {
    let mut device = begin(&ANSWER.replace(",\n    \"interval\": 5", ""));
    assert_waits(&mut device, 4, 5);
    poll_pending(&mut device, 5);
    assert_waits(&mut device, 9, 10);
    poll_pending(&mut device, 10);
}

#[test]
fn rfc8628_section_3_5_slow_down_adds_five_seconds_for_good() {
    let mut device = device();
    let call = send(&mut device, 5);
    assert!(receive(&mut device, call, (400, SLOW_DOWN), 5).unwrap().is_none());
    assert_eq!(device.interval(), Duration::from_secs(10));
    assert!(device.last_error().is_none() && device.failures() == 0, "slow_down is no trouble");
    assert_waits(&mut device, 14, 15);
    poll_pending(&mut device, 15);
    assert_waits(&mut device, 24, 25);
    let call = send(&mut device, 25);
    receive(&mut device, call, (400, SLOW_DOWN), 25).unwrap();
    assert_waits(&mut device, 39, 40);
    poll_pending(&mut device, 40);
    assert_waits(&mut device, 54, 55);
    poll_pending(&mut device, 55);
}

/// GitHub sends the new interval, which is 5 seconds longer than the last.
#[test]
fn an_interval_in_a_slow_down_answer_counts_if_it_is_longer() {
    for (given, interval) in [("3", 10), ("10", 10), ("12", 12), ("\"60\"", 10), ("-1", 10)] {
        let mut device = device();
        let call = send(&mut device, 5);
        let body = format!(r#"{{"error":"slow_down","interval":{given}}}"#);
        receive(&mut device, call, (200, &body), 5).unwrap();
        assert_waits(&mut device, 5, 5 + interval);
    }
}

#[test]
fn rfc8628_section_3_5_pending_and_slow_down_count_whatever_the_status() {
    for status in [200, 400, 401, 403, 428, 429, 500, 503] {
        let mut device = device();
        let call = send(&mut device, 5);
        assert!(receive(&mut device, call, (status, PENDING), 5).unwrap().is_none(), "{status}");
        assert_waits(&mut device, 5, 10);
        let call = send(&mut device, 10);
        assert!(receive(&mut device, call, (status, SLOW_DOWN), 10).unwrap().is_none(), "{status}");
        assert_waits(&mut device, 10, 20);
        assert_eq!(device.failures(), 0, "{status}");
    }
}

#[test]
fn rfc8628_section_3_5_a_connection_that_times_out_doubles_the_pause() {
    let mut device = device();
    let mut now = 5;
    for (failures, pause) in [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60)] {
        let call = send(&mut device, now);
        device.no_response(call, later(now + 1));
        assert_eq!(device.failures(), failures);
        assert_waits(&mut device, now + 1, now + 1 + pause);
        now += 1 + pause;
    }
    // An answer brings back the interval.
    poll_pending(&mut device, now);
    assert_eq!(device.failures(), 0);
    assert_waits(&mut device, now, now + 5);
}

#[test]
fn rfc8628_section_3_5_the_pause_grows_even_where_the_interval_is_long() {
    let mut device = begin(&ANSWER.replace("\"interval\": 5", "\"interval\": 100"));
    let call = send(&mut device, 100);
    device.no_response(call, later(100));
    assert_waits(&mut device, 100, 300);
    let call = send(&mut device, 300);
    device.no_response(call, later(300));
    assert_waits(&mut device, 300, 500);
}

/// The task that sent it was cancelled, or the program forgot to report.
#[test]
fn a_poll_without_a_report_counts_as_unanswered_after_its_time() {
    let mut device = device();
    let call = send(&mut device, 5);
    assert_waits(&mut device, 34, 35);
    assert_waits(&mut device, 35, 45);
    assert_eq!(device.failures(), 1);
    // The late reports of it change nothing.
    device.no_response(call, later(36));
    assert_eq!(device.failures(), 1);
    assert_waits(&mut device, 44, 45);
    poll_pending(&mut device, 45);
}

#[test]
fn a_server_in_trouble_is_polled_less_often() {
    for (status, body) in [
        (408, ""),
        (421, ""),
        (425, ""),
        (429, "<html>slow</html>"),
        (500, r#"{"error":"server_error"}"#),
        (502, "<html>Bad Gateway</html>"),
        (503, r#"{"error":"access_denied"}"#),
        (504, ""),
    ] {
        let mut device = device();
        let call = send(&mut device, 5);
        assert!(receive(&mut device, call, (status, body), 6).unwrap().is_none(), "{status}");
        let error = device.last_error().unwrap();
        assert_eq!((error.status(), error.advice()), (Some(status), Advice::RetryLater));
        assert_eq!(device.failures(), 1);
        assert_waits(&mut device, 6, 16);
        // The trouble is over.
        poll_pending(&mut device, 16);
        assert_waits(&mut device, 16, 21);
    }
}

#[test]
fn rfc9110_section_10_2_3_retry_after_lengthens_a_pause_up_to_five_minutes() {
    for (status, body, retry_after, pause) in [
        (503, "", "2", 10),
        (503, "", "30", 30),
        (429, "", "100", 100),
        (503, "", "86400", 300),
        (503, "", "Tue, 14 Nov 2023 22:14:20 GMT", 55),
        (429, PENDING, "30", 30),
        (400, PENDING, "1", 5),
        (429, SLOW_DOWN, "7", 10),
        (429, SLOW_DOWN, "20", 20),
        (503, "", "soon", 10),
    ] {
        let mut device = device();
        let call = send(&mut device, 5);
        let response = Response::new(status, [("retry-after", retry_after)], body.as_bytes());
        assert!(device.received(call, response, later(5)).unwrap().is_none());
        assert_waits(&mut device, 5, 5 + pause);
    }
}

#[test]
fn rfc8628_section_3_5_any_other_error_stops_the_polls() {
    for (status, body, end, advice) in [
        (400, r#"{"error":"access_denied"}"#, End::Declined, Advice::Declined),
        (400, r#"{"error":"authorization_declined"}"#, End::Declined, Advice::Declined),
        (400, r#"{"error":"expired_token"}"#, End::Expired, Advice::Reauthorize),
        (400, r#"{"error":"invalid_grant"}"#, End::Failed, Advice::Reauthorize),
        (404, r#"{"error":"device_not_found"}"#, End::Failed, Advice::Reauthorize),
        (400, r#"{"error":"bad_verification_code"}"#, End::Failed, Advice::Reauthorize),
        (200, r#"{"error":"incorrect_device_code"}"#, End::Failed, Advice::Reauthorize),
        (400, r#"{"error":"code_expired"}"#, End::Failed, Advice::Reauthorize),
        // Neither is an error of the token endpoint, so neither may be polled on (RFC 6749 §5.2).
        (400, r#"{"error":"server_error"}"#, End::Failed, Advice::Reauthorize),
        (400, r#"{"error":"temporarily_unavailable"}"#, End::Failed, Advice::Reauthorize),
        (401, r#"{"error":"invalid_client"}"#, End::Failed, Advice::FixConfiguration),
        (400, r#"{"error":"unsupported_grant_type"}"#, End::Failed, Advice::FixConfiguration),
        (200, r#"{"error":"device_flow_disabled"}"#, End::Failed, Advice::Stop),
        (400, r#"{"error":"fake_unknown"}"#, End::Failed, Advice::Stop),
        (501, r#"{"error":"slow"}"#, End::Failed, Advice::Stop),
        (400, "", End::Failed, Advice::Stop),
        (404, "<html></html>", End::Failed, Advice::Stop),
        (302, "", End::Failed, Advice::Stop),
        (200, r#"{"access_token":"fake"}"#, End::Failed, Advice::Stop),
        (200, "<html></html>", End::Failed, Advice::Stop),
    ] {
        let mut device = device();
        let call = send(&mut device, 5);
        let error = receive(&mut device, call, (status, body), 5).unwrap_err();
        assert_eq!(error.advice(), advice, "{status} {body}: {error}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(device.last_error().unwrap().to_string(), error.to_string());
        for now in [5, 10, 10_000] {
            assert_eq!(device.poll(later(now)), Step::Ended(end), "{status} {body}");
            assert!(device.send(&client(), later(now)).unwrap().is_none());
        }
    }
}

/// RFC 9449 §8: the server wants another request of the same kind.
#[test]
fn a_wanted_nonce_does_not_stop_the_polls() {
    let body = br#"{"error":"use_dpop_nonce"}"#;
    let mut device = device();
    let call = send(&mut device, 5);
    let response = Response::new(400, [("dpop-nonce", "fake-nonce")], body);
    assert!(device.received(call, response, later(5)).unwrap().is_none());
    assert_eq!(device.last_error().unwrap().dpop_nonce(), Some("fake-nonce"));
    assert_waits(&mut device, 5, 15);
}

#[test]
fn rfc8628_section_3_5_the_polls_end_with_the_lifetime_of_the_code() {
    let mut device = begin(&ANSWER.replace("1800", "12"));
    poll_pending(&mut device, 5);
    poll_pending(&mut device, 10);
    // The next poll would come too late, so the end is next.
    assert_waits(&mut device, 11, 12);
    assert_eq!(device.poll(later(12)), Step::Ended(End::Expired));
    assert!(device.send(&client(), later(15)).unwrap().is_none());
    assert_eq!(device.poll(later(15)), Step::Ended(End::Expired));
    assert!(device.last_error().is_none());
}

#[test]
fn a_lifetime_of_zero_has_ended() {
    let mut device = begin(&ANSWER.replace("1800", "0"));
    assert_eq!(device.poll(later(0)), Step::Ended(End::Expired));
}

#[test]
fn an_answer_that_is_under_way_at_the_end_of_the_lifetime_counts() {
    let start = || {
        let mut device = begin(&ANSWER.replace("1800", "6"));
        let call = send(&mut device, 5);
        assert_waits(&mut device, 7, 35);
        (device, call)
    };
    let (mut device, call) = start();
    assert!(receive(&mut device, call, (200, TOKENS), 8).unwrap().is_some());
    assert_eq!(device.poll(later(8)), Step::Ended(End::Granted));

    let (mut device, call) = start();
    assert!(receive(&mut device, call, (400, PENDING), 8).unwrap().is_none());
    assert_eq!(device.poll(later(8)), Step::Ended(End::Expired));

    let (mut device, call) = start();
    assert_eq!(device.poll(later(35)), Step::Ended(End::Expired));
    let error = receive(&mut device, call, (400, r#"{"error":"access_denied"}"#), 36).unwrap_err();
    assert_eq!(error.advice(), Advice::Declined);
    assert_eq!(device.poll(later(36)), Step::Ended(End::Expired), "the first end stays");
}

/// The server has spent the device code for them, so there are no others.
#[test]
fn tokens_that_come_late_are_delivered_and_only_once() {
    let mut device = device();
    let early = send(&mut device, 5);
    assert_waits(&mut device, 35, 45);
    let other = send(&mut device, 45);
    assert!(receive(&mut device, early, (200, TOKENS), 46).unwrap().is_some());
    assert_eq!(device.poll(later(46)), Step::Ended(End::Granted));
    // django-oauth-toolkit redeems a code twice.
    assert!(receive(&mut device, other, (200, TOKENS), 47).unwrap().is_none());

    let mut device = self::device();
    let early = send(&mut device, 5);
    assert_eq!(device.poll(later(LIFETIME)), Step::Ended(End::Expired));
    assert!(receive(&mut device, early, (200, TOKENS), LIFETIME).unwrap().is_some());
    assert_eq!(device.poll(later(LIFETIME)), Step::Ended(End::Granted));
}

#[test]
fn a_late_answer_does_not_bring_the_next_poll_forward() {
    let mut device = device();
    let early = send(&mut device, 5);
    assert_waits(&mut device, 35, 45);
    assert!(receive(&mut device, early, (400, PENDING), 36).unwrap().is_none());
    assert_waits(&mut device, 36, 45);

    let early = send(&mut device, 45);
    assert_waits(&mut device, 75, 95);
    let current = send(&mut device, 95);
    // The longer interval holds from now on.
    assert!(receive(&mut device, early, (400, SLOW_DOWN), 96).unwrap().is_none());
    assert_eq!(device.interval(), Duration::from_secs(10));
    assert_waits(&mut device, 96, 125);
    assert!(receive(&mut device, current, (400, PENDING), 97).unwrap().is_none());
    assert_waits(&mut device, 97, 107);

    // Also for the pause that is running.
    let mut device = begin(&ANSWER.replace("\"interval\": 5", "\"interval\": 3"));
    let early = send(&mut device, 3);
    assert_waits(&mut device, 33, 39);
    receive(&mut device, early, (400, SLOW_DOWN), 34).unwrap();
    assert_waits(&mut device, 34, 41);
}

#[test]
fn a_late_refusal_ends_the_polls_too() {
    let mut device = device();
    let early = send(&mut device, 5);
    assert_waits(&mut device, 35, 45);
    receive(&mut device, early, (400, r#"{"error":"access_denied"}"#), 36).unwrap_err();
    assert_eq!(device.poll(later(50)), Step::Ended(End::Declined));
}

#[test]
fn an_answer_belongs_to_one_device_authorization() {
    let mut device = device();
    let mut other = begin(&ANSWER.replace("GmRhmhcx", "fake-one"));
    let call = send(&mut other, 5);
    let error = receive(&mut device, call, (200, TOKENS), 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let call = send(&mut device, 5);
    let foreign = {
        assert_waits(&mut other, 35, 45);
        send(&mut other, 45)
    };
    device.no_response(foreign, later(6));
    assert_eq!(device.failures(), 0, "a foreign report changes nothing");
    assert!(receive(&mut device, call, (200, TOKENS), 7).unwrap().is_some());
}

#[test]
fn the_client_must_be_the_one_that_started_it() {
    let server = |token: &str| {
        let server = AuthorizationServer::without_authorization_endpoint(token).unwrap();
        server.device_authorization_endpoint("https://server.example.com/device_authorization").unwrap()
    };
    let with = |server, id| Client::new(server, id, ClientAuth::none()).unwrap();
    let own = "https://server.example.com/token";
    let elsewhere = AuthorizationServer::new("https://server.example.com/authorize", own).unwrap();
    let mut device = device();
    for foreign in [
        with(server("https://evil.example/token"), "1406020730"),
        with(server(own), "another"),
        with(elsewhere, "1406020730"),
        with(server(own).issuer("https://server.example.com").unwrap(), "1406020730"),
    ] {
        let error = device.send(&foreign, later(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("another client"), "{error}");
    }
    let unable = with(server(own).grant_types_supported(["refresh_token"]), "1406020730");
    assert_eq!(device.send(&unable, later(5)).unwrap_err().kind(), ErrorKind::Misuse);
    // Nothing was lost: the poll is still due. Another spelling of the endpoint is the same client.
    let same = with(server("HTTPS://SERVER.example.com:443/token"), "1406020730");
    assert!(device.send(&same, later(5)).unwrap().is_some());
}

#[test]
fn a_server_that_repeats_the_device_code_does_not_reveal_it() {
    let mut device = device();
    let call = send(&mut device, 5);
    let body =
        r#"{"error":"invalid_grant","error_description":"no GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"}"#;
    let error = receive(&mut device, call, (400, body), 5).unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.description()).contains("GmRhmhcx"), "{error:?}");
}
