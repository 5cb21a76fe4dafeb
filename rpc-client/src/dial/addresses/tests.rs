// A panic is how a test reports.
#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::future::{pending, ready};
use std::io::ErrorKind;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Addresses that nothing is sent to.
fn places(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|last| SocketAddr::from(([192, 0, 2, last], 1234))).collect()
}

/// Dials these addresses of a name with this much time; a dead one never answers, a negative verdict comes
/// at once.
async fn dial(
    time: Duration,
    places: Vec<SocketAddr>,
    verdict: impl Fn(SocketAddr) -> Option<io::Result<SocketAddr>>,
) -> Result<SocketAddr, ConnectError> {
    let connect = |to| {
        let verdict = verdict(to);
        async move {
            match verdict {
                Some(verdict) => verdict,
                None => pending().await,
            }
        }
    };
    dial_first("name:1234", time, ready(Ok(places)), connect).await
}

#[test]
fn the_time_left_is_divided_evenly_with_two_seconds_at_least() {
    assert_eq!(share(seconds(10), 1), seconds(10));
    assert_eq!(share(seconds(10), 4), Duration::from_millis(2500));
    assert_eq!(share(seconds(10), 100), seconds(2));
    assert_eq!(share(seconds(1), 100), seconds(1));
    assert_eq!(share(Duration::MAX, usize::MAX), Duration::MAX / u32::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_leaves_time_for_the_next_one() {
    let (started, living) = (Instant::now(), places(2)[1]);
    let reached = dial(seconds(10), places(2), |to| (to == living).then_some(Ok(to))).await;
    assert_eq!(reached.unwrap(), living);
    assert_eq!(started.elapsed(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn time_that_an_address_did_not_use_goes_to_the_others() {
    let (started, first) = (Instant::now(), places(3)[0]);
    let refused = |to| (to == first).then(|| Err(ErrorKind::ConnectionRefused.into()));
    let error = dial(seconds(10), places(3), refused).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to name:1234 (192.0.2.1:1234: refused; 192.0.2.2:1234: no answer within 5s; \
         192.0.2.3:1234: no answer within 5s)"
    );
    assert_eq!(started.elapsed(), seconds(10));
    let attempts = error.source().unwrap();
    assert_eq!(
        attempts.to_string(),
        "192.0.2.1:1234: refused; 192.0.2.2:1234: no answer within 5s; \
         192.0.2.3:1234: no answer within 5s"
    );
    let first = attempts.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(first.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_there_was_no_time_for_are_counted() {
    let started = Instant::now();
    let error = dial(seconds(3), places(4), |_| None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to name:1234 (192.0.2.1:1234: no answer within 2s; 192.0.2.2:1234: no answer within \
         1s; no time left to try 2 more); is the host up, and does a firewall let the connection through?"
    );
    let ConnectError::Addresses { source, .. } = error else { panic!("{error:?}") };
    assert_eq!((source.failed().len(), source.untried()), (2, 2));
    assert_eq!(started.elapsed(), seconds(3));
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_time_is_told_without_its_many_digits() {
    let error = dial(seconds(10), places(3), |_| None).await.unwrap_err().to_string();
    assert!(error.contains("192.0.2.1:1234: no answer within 3.3s; "), "{error}");
    let error = dial(Duration::from_micros(876_543), places(2), |_| None).await.unwrap_err().to_string();
    assert!(error.contains("192.0.2.1:1234: no answer within 876ms; "), "{error}");
}

#[tokio::test]
async fn of_many_addresses_eight_are_named() {
    let unreachable = |_| Some(Err(ErrorKind::NetworkUnreachable.into()));
    let error = dial(seconds(10), places(11), unreachable).await.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "192.0.2.8:1234: unreachable; 3 more failed); is the host up, and this machine on the right network?"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_cause_is_guessed_at_only_when_all_addresses_have_it_in_common() {
    let verdict = |to: SocketAddr| {
        let first = to == places(1)[0];
        Some(Err(if first { ErrorKind::ConnectionRefused } else { ErrorKind::PermissionDenied }.into()))
    };
    let error = dial(seconds(10), places(2), verdict).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to name:1234 (192.0.2.1:1234: refused; 192.0.2.2:1234: permission denied)"
    );
}

#[tokio::test(start_paused = true)]
async fn one_address_goes_by_the_name_that_was_given() {
    let error = dial(seconds(10), places(1), |_| None).await.unwrap_err();
    assert!(matches!(&error, ConnectError::DialTimeout { after, .. } if *after == seconds(10)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot connect to name:1234: nothing came back within 10s; is the host up, and does a firewall let \
         the connection through?"
    );
}

#[tokio::test(start_paused = true)]
async fn one_address_is_told_with_the_time_that_was_set_and_others_with_their_share() {
    for (count, told) in [(1, "nothing came back within 10s;"), (2, "192.0.2.1:1234: no answer within 4.9s;")]
    {
        let slow = async {
            tokio::time::sleep(Duration::from_millis(123)).await;
            Ok(places(count))
        };
        let connect = |_| pending::<io::Result<()>>();
        let error = dial_first("name:1234", seconds(10), slow, connect).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_told() {
    let error = dial(seconds(10), Vec::new(), |_| None).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoAddress { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot connect to name:1234: the name has no address; is it spelled right?"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_is_silent_uses_up_the_time_for_dialling() {
    let connect = |to| ready(Ok::<SocketAddr, _>(to));
    let error = dial_first("name:1234", seconds(10), pending(), connect).await.unwrap_err();
    assert!(matches!(error, ConnectError::ResolveTimeout { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot connect to name:1234: the name did not resolve within 10s; is the name server up?"
    );
}

#[tokio::test]
async fn the_addresses_of_a_name_are_dialled_in_order_until_one_answers() {
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed_at = closed.local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open_at = listener.local_addr().unwrap();
    let both = ready(Ok(vec![closed_at, open_at]));
    let stream = dial_first("name:1234", seconds(10), both, TcpStream::connect).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), open_at);

    let twice = ready(Ok(vec![closed_at, closed_at]));
    let error = dial_first("name:1234", seconds(10), twice, TcpStream::connect).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to name:1234 ({closed_at}: refused; {closed_at}: refused); is the server running \
             there?"
        )
    );
}
