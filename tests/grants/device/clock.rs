//! Clocks that stand still, go back or jump, and events in any order.

use std::time::{Duration, SystemTime};

use oauth2_proto::grants::device::{DevicePoll, End, PendingDevice, Step};
use oauth2_proto::{Call, Response};
use proptest::prelude::*;

use super::*;
use crate::support::later;

const DAY: u64 = 86_400;

#[test]
fn a_clock_that_goes_back_during_a_pause_begins_it_anew() {
    let mut device = device();
    poll_pending(&mut device, 5);
    // The pause began at 5; a clock that shows no earlier time has only moved on more slowly.
    assert_waits(&mut device, 8, 10);
    assert_waits(&mut device, 6, 10);
    assert_waits(&mut device, 3, 8);
    assert_waits(&mut device, 7, 8);
    poll_pending(&mut device, 8);
}

#[test]
fn a_clock_that_is_set_to_an_earlier_day_waits_one_interval_and_no_longer_than_one_lifetime() {
    let mut device = begin(&ANSWER.replace("1800", "30"));
    let _ = device.poll(later(0));
    let before = later(0) - Duration::from_secs(DAY);
    assert_eq!(device.poll(before), Step::Wait { until: before + Duration::from_secs(5) });
    assert_eq!(device.expires_at(), before + Duration::from_secs(30));
    assert_eq!(
        device.poll(before + Duration::from_secs(5)),
        Step::Send { until: before + Duration::from_secs(5 + ANSWER_TIME) }
    );
    assert_eq!(device.poll(before + Duration::from_secs(30)), Step::Ended(End::Expired));
}

#[test]
fn a_clock_that_goes_back_again_and_again_does_not_keep_the_polls_going_for_ever() {
    let mut device = begin(&ANSWER.replace("1800", "20"));
    let mut polls = 0;
    let mut day = 40 * DAY;
    while day > DAY {
        // On each of these days the clock advances by one interval, and is then set back by a day.
        let _ = device.poll(later(day));
        let Some(call) = device.send(&client(), later(day + 5)).unwrap() else { break };
        receive(&mut device, call, (400, PENDING), day + 5).unwrap();
        polls += 1;
        day -= DAY;
    }
    assert_eq!(
        (polls, device.poll(later(day + 5))),
        (0, Step::Ended(End::Expired)),
        "a jump ahead is the end"
    );

    let mut device = begin(&ANSWER.replace("1800", "20"));
    for day in 1.. {
        let start = later(0) - Duration::from_secs(day * DAY);
        let _ = device.poll(start);
        let due = start + Duration::from_secs(5);
        let Some(call) = device.send(&client(), due).unwrap() else { break };
        device.received(call, Response::new(400, [("", "")], PENDING.as_bytes()), due).unwrap();
        polls += 1;
    }
    // Four pauses of 5 seconds are one lifetime.
    assert_eq!(polls, 4);
    let end = device.poll(later(0) - Duration::from_secs(9 * DAY));
    assert_eq!(end, Step::Ended(End::Expired));
}

#[test]
fn a_clock_that_jumps_ahead_causes_one_poll_and_then_waits_the_interval() {
    let mut device = device();
    poll_pending(&mut device, 5);
    poll_pending(&mut device, 1000);
    assert_waits(&mut device, 1000, 1005);
    assert_eq!(device.poll(later(LIFETIME + DAY)), Step::Ended(End::Expired));
}

#[test]
fn a_clock_that_goes_back_while_a_request_is_in_flight_lets_it_finish() {
    let mut device = device();
    let call = send(&mut device, 5);
    assert_waits(&mut device, 2, 32);
    assert!(receive(&mut device, call, (400, PENDING), 3).unwrap().is_none());
    assert_waits(&mut device, 3, 8);
}

#[test]
fn times_at_the_ends_of_the_calendar_do_no_harm() {
    let ends = [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000)];
    for begin in ends {
        for now in ends {
            for body in [
                ANSWER.to_owned(),
                ANSWER.replace("1800", "9e99").replace("\"interval\": 5", "\"interval\": 1e99"),
            ] {
                let call = client().device_authorization().start(SystemTime::UNIX_EPOCH).unwrap();
                let mut device = call.read(json(&body)).unwrap().begin(begin);
                let _ = device.poll(now);
                if let Some(call) = device.send(&client(), now).unwrap() {
                    device.no_response(call, now);
                }
                let _ = (device.poll(begin), device.expires_at());
            }
        }
    }
}

/// What can happen to a machine.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The clock moves by this many milliseconds.
    Clock(i64),
    Poll,
    Send,
    /// The oldest, or the newest, request gets this answer, or none.
    Answer {
        oldest: bool,
        with: Option<(u16, &'static str)>,
    },
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let answer = prop_oneof![
        Just(None),
        Just(Some((400, PENDING))),
        Just(Some((400, SLOW_DOWN))),
        Just(Some((503, ""))),
        Just(Some((400, r#"{"error":"slow_down","interval":20}"#))),
    ];
    let answer = prop_oneof![
        20 => answer,
        1 => Just(Some((200, TOKENS))),
        1 => Just(Some((400, r#"{"error":"access_denied"}"#))),
    ];
    prop_oneof![
        4 => (0_i64..12_000).prop_map(Event::Clock),
        1 => (-12_000_i64..0).prop_map(Event::Clock),
        1 => (-100_000_000_i64..100_000_000).prop_map(Event::Clock),
        3 => Just(Event::Poll),
        4 => Just(Event::Send),
        4 => (any::<bool>(), answer).prop_map(|(oldest, with)| Event::Answer { oldest, with }),
        1 => Just(Event::Restart),
    ]
}

fn at(clock: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(clock).unwrap_or(0))
}

/// A device in an order of events, and what it must keep to.
struct World {
    client: Client,
    device: PendingDevice,
    clock: i64,
    /// The earliest time that the clock has shown since the last request was sent, or since the beginning.
    earliest: i64,
    interval: Duration,
    in_flight: Vec<Call<DevicePoll>>,
    delivered: usize,
    sent: usize,
}

impl World {
    fn step(&mut self, event: Event) {
        let now = at(self.clock);
        match event {
            Event::Clock(by) => self.clock = (self.clock + by).max(0),
            Event::Poll => {
                let step = self.device.poll(now);
                assert_eq!(self.device.poll(now), step, "polling twice changes nothing");
                if let Step::Wait { until } = step {
                    assert!(until > now, "a wait that is over");
                    let longest = Duration::from_secs(300).max(self.device.interval() * 2);
                    assert!(until <= now + longest, "an unbounded wait");
                }
            }
            Event::Send => {
                let ended = matches!(self.device.poll(now), Step::Ended(_));
                let expired = self.device.expires_at() <= now;
                let due = matches!(self.device.poll(now), Step::Send { .. });
                let call = self.device.send(&self.client, now).unwrap();
                assert_eq!(call.is_some(), due);
                if let Some(call) = call {
                    assert!(!ended && !expired, "a request after the end");
                    let advanced = u64::try_from(self.clock - self.earliest).expect("the clock advanced");
                    assert!(Duration::from_millis(advanced) >= self.interval, "too early");
                    self.earliest = self.clock;
                    self.interval = self.device.interval();
                    self.in_flight.push(call);
                    self.sent += 1;
                    assert!(self.device.send(&self.client, now).unwrap().is_none(), "two requests at a time");
                }
            }
            Event::Answer { oldest, with } => {
                if self.in_flight.is_empty() {
                    return;
                }
                let call = if oldest { self.in_flight.remove(0) } else { self.in_flight.pop().unwrap() };
                match with {
                    None => self.device.no_response(call, now),
                    Some((status, body)) => {
                        let response = Response::new(status, [("", "")], body.as_bytes());
                        let tokens = self.device.received(call, response, now);
                        self.delivered += usize::from(tokens.is_ok_and(|tokens| tokens.is_some()));
                        if body.contains("access_token") {
                            assert_eq!(self.delivered, 1, "tokens are delivered once");
                        }
                    }
                }
            }
            Event::Restart => {
                let Ok(stored) = serde_json::to_string(&self.device) else { return };
                self.device = serde_json::from_str(&stored).unwrap();
                assert_eq!(serde_json::to_string(&self.device).unwrap(), stored);
            }
        }
        // What the machine has not seen cannot count.
        if !matches!(event, Event::Clock(_) | Event::Restart) {
            self.earliest = self.earliest.min(self.clock);
        }
        self.interval = self.device.interval().max(self.interval);
    }
}

proptest! {
    /// "Too early" is by the machine's own clock, in one stretch of time without a way back: between two
    /// requests the clock advances by the whole interval from the earliest time that the machine was shown.
    #[test]
    fn whatever_the_order_of_events_it_never_polls_too_early_or_too_late_and_it_ends(
        events in prop::collection::vec(event(), 0..120),
        lifetime in 1_u64..200,
        interval in 1_u64..20,
    ) {
        let answer = ANSWER.replace("1800", &lifetime.to_string());
        let answer = answer.replace("\"interval\": 5", &format!("\"interval\": {interval}"));
        let start = 1_000_000_000_000;
        let client = client();
        let call = client.device_authorization().start(SystemTime::UNIX_EPOCH).unwrap();
        let device = call.read(json(&answer)).unwrap().begin(at(start));
        let interval_now = device.interval();
        let mut world = World {
            client,
            device,
            clock: start,
            earliest: start,
            interval: interval_now,
            in_flight: Vec::new(),
            delivered: 0,
            sent: 0,
        };
        events.into_iter().for_each(|event| world.step(event));
        // A clock that goes back during the last interval leaves room for one more poll.
        let room = lifetime.div_ceil(interval);
        prop_assert!(world.sent as u64 <= room, "more polls than the lifetime has room for");

        // Left alone by a clock that runs, it ends.
        let mut clock = world.clock;
        let mut steps = 0;
        loop {
            clock += 500;
            steps += 1;
            prop_assert!(steps < 2 * (lifetime + ANSWER_TIME + 1), "it does not end");
            match world.device.poll(at(clock)) {
                Step::Ended(_) => break,
                Step::Send { .. } => {
                    let call = world.device.send(&world.client, at(clock)).unwrap().unwrap();
                    world.device.no_response(call, at(clock));
                }
                Step::Wait { .. } => {}
            }
        }
    }
}
