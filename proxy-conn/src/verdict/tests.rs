use std::io::ErrorKind as Kind;

use proxy_core::dial::{DialErrorKind, FailedAttempt};
use proxy_core::{Bound, TargetAddr};

use super::*;

#[test]
fn a_failed_dial_is_called_the_same_where_it_is_counted_and_where_it_ends_a_connection() {
    for failure in DialFailure::ALL {
        assert_eq!(Cause::from(failure).name(), format!("dial_{}", failure.name()));
    }
}

#[test]
fn a_dial_ends_a_connection_by_its_last_attempt_or_by_what_kept_every_target_closed() {
    let cause = |kinds: Vec<DialErrorKind>| {
        let attempt = |kind| FailedAttempt {
            target: TargetAddr::Ip(([192, 0, 2, 1], 80).into()),
            endpoint: None,
            elapsed: std::time::Duration::ZERO,
            kind,
        };
        let error = DialError {
            attempts: kinds.into_iter().map(attempt).collect(),
            within: Bound::secs(1),
            elapsed: std::time::Duration::ZERO,
        };
        Cause::from(&error)
    };
    let closed = DialErrorKind::Closed;
    assert_eq!(cause(vec![closed(Closed::Full(1)), DialErrorKind::Refused]), Cause::DialRefused);
    assert_eq!(cause(vec![DialErrorKind::Timeout]), Cause::DialTimeout);
    assert_eq!(cause(vec![closed(Closed::Breaker(None)), closed(Closed::Full(1))]), Cause::TargetLimit);
    assert_eq!(cause(vec![closed(Closed::Draining)]), Cause::Draining);
    assert_eq!(cause(vec![closed(Closed::Breaker(None))]), Cause::TargetsDown);
    assert_eq!(cause(vec![]), Cause::TargetsDown);
}

#[test]
fn every_end_of_a_relay_has_its_cause_and_its_culprit() {
    let end = |end: RelayEnd| End::of_relay(&end, Phase::Relay).to_string();
    let reset = |by, kind: Kind| end(RelayEnd::Reset { by, error: kind.into(), delivered: false });
    let passed = |which, at_fault| end(RelayEnd::Deadline { which, at_fault, delivered: false });
    let all = [
        end(RelayEnd::Finished { first: Side::Client }),
        end(RelayEnd::Finished { first: Side::Backend }),
        reset(Side::Client, Kind::ConnectionReset),
        reset(Side::Client, Kind::TimedOut),
        reset(Side::Client, Kind::InvalidData),
        reset(Side::Backend, Kind::BrokenPipe),
        reset(Side::Backend, Kind::HostUnreachable),
        reset(Side::Backend, Kind::PermissionDenied),
        passed(RelayDeadline::Idle, None),
        passed(RelayDeadline::NoData, None),
        passed(RelayDeadline::Lifetime, None),
        passed(RelayDeadline::HalfClosed, Some(Side::Client)),
        passed(RelayDeadline::WriteStall, Some(Side::Backend)),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    -- finished by client in relay
    -- finished by backend in relay
    CD client_reset by client in relay
    cD client_vanished by client in relay
    PD header_untrusted by client in relay
    SD backend_reset by backend in relay
    sD backend_vanished by backend in relay
    RD call_failed by proxy in relay
    pD idle by proxy in relay
    pD no_data by proxy in relay
    pD lifetime by proxy in relay
    cD half_closed by client in relay
    sD write_stall by backend in relay
    ");
}
