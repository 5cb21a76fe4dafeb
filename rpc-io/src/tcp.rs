//! What is set on TCP sockets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// The kernel holds no more bytes than this that it has not sent yet. Otherwise it takes megabytes and then
/// nothing until a third of them has gone, up to 1.4 MB: a peer that takes 100 kB a second looked like one that
/// takes nothing for 15 s, and a Ping stood behind all of it. With this, half of it has to go. Less than this
/// made bodies of 1 MiB a third slower.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MAX_UNSENT: u32 = 1024 * 1024;

/// The times that the kernel takes; it refuses others, and no connection would be made.
const MIN_KEEPALIVE: Duration = Duration::from_secs(1);
const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// The same for how many probes.
const MIN_PROBES: u32 = 1;
const MAX_PROBES: u32 = 127;

/// It takes zero for none.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const LEAST_UNACKNOWLEDGED: Duration = Duration::from_millis(1);
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const LONGEST_UNACKNOWLEDGED: Duration = Duration::from_millis(i32::MAX as u64);

/// What is set on TCP sockets; `TCP_NODELAY` always is, and on Linux that the kernel holds no more than
/// 1 MiB unsent (`TCP_NOTSENT_LOWAT`).
///
/// A peer whose host is gone leaves every probe unanswered. The kernel gives the connection up after
/// `keepalive` and then `keepalive_probes` times `keepalive_interval`; but where `user_timeout` is set, it decides
/// instead, at the first probe that is due after it: by default after a minute and not after five.
/// Silence is found sooner by the Pings of both sides, `ping_interval` and `ping_timeout`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TcpOptions {
    /// How long a connection is idle before the kernel probes it (Go: `KeepAliveConfig.Idle`).
    /// Default 30 s, from 1 s to 32,767 s; `None` switches probing off.
    pub keepalive: Option<Duration>,
    /// The time between two probes, whole seconds in the same range (Go: `KeepAliveConfig.Interval`). Default,
    /// and `None`: as `keepalive`.
    pub keepalive_interval: Option<Duration>,
    /// So many probes in a row may stay without an answer (Go: `KeepAliveConfig.Count`), from 1 to 127. Default,
    /// and `None`: what the kernel is set to, 9 mostly.
    pub keepalive_probes: Option<u32>,
    /// How long sent bytes may stay unacknowledged before the kernel gives the connection up
    /// (Linux only). Default 40 s; `None` leaves it to the kernel, which takes about 15 minutes.
    pub user_timeout: Option<Duration>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            keepalive: Some(Duration::from_secs(30)),
            keepalive_interval: None,
            keepalive_probes: None,
            user_timeout: Some(Duration::from_secs(40)),
        }
    }
}

impl TcpOptions {
    /// Sets them.
    ///
    /// # Errors
    /// As the system's.
    pub fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        socket.set_tcp_notsent_lowat(MAX_UNSENT)?;
        if let Some(period) = self.keepalive {
            // The kernel refuses others, and what is set after it would not be set.
            let period = period.clamp(MIN_KEEPALIVE, MAX_KEEPALIVE);
            let interval = self.keepalive_interval.unwrap_or(period).clamp(MIN_KEEPALIVE, MAX_KEEPALIVE);
            let keepalive = TcpKeepalive::new().with_time(period).with_interval(interval);
            let keepalive = match self.keepalive_probes {
                Some(probes) => keepalive.with_retries(probes.clamp(MIN_PROBES, MAX_PROBES)),
                None => keepalive,
            };
            socket.set_tcp_keepalive(&keepalive)?;
        }
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        socket.set_tcp_user_timeout(
            self.user_timeout.map(|time| time.clamp(LEAST_UNACKNOWLEDGED, LONGEST_UNACKNOWLEDGED)),
        )?;
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_kernel_holds_a_megabyte_unsent_at_the_most() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        TcpOptions::default().apply(&stream).unwrap();
        assert_eq!(SockRef::from(&stream).tcp_notsent_lowat().unwrap(), 1 << 20);
    }

    async fn set_on_a_socket(options: TcpOptions) -> (TcpOptions, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        options.apply(&stream).unwrap();
        let socket = SockRef::from(&stream);
        let probes = socket.keepalive().unwrap();
        let set = TcpOptions {
            keepalive: probes.then(|| socket.tcp_keepalive_time().unwrap()),
            keepalive_interval: probes.then(|| socket.tcp_keepalive_interval().unwrap()),
            keepalive_probes: probes.then(|| socket.tcp_keepalive_retries().unwrap()),
            user_timeout: socket.tcp_user_timeout().unwrap(),
        };
        (set, stream.nodelay().unwrap())
    }

    #[tokio::test]
    async fn sockets_probe_after_30_s_and_give_up_after_40_by_default() {
        let (set, nodelay) = set_on_a_socket(TcpOptions::default()).await;
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!((set.keepalive, set.user_timeout, nodelay), (seconds(30), seconds(40), true));
        let kernel = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_keepalive_probes").unwrap();
        let probes = Some(kernel.trim().parse().unwrap());
        assert_eq!((set.keepalive_interval, set.keepalive_probes), (seconds(30), probes));
    }

    #[tokio::test]
    async fn interval_and_number_of_probes_are_set_as_far_as_the_kernel_takes_them() {
        for (interval, probes, seconds, taken) in
            [(5, 3, 5, 3), (0, 0, 1, 1), (1, 1, 1, 1), (1_000_000, 1_000_000, 32_767, 127)]
        {
            let options = TcpOptions {
                keepalive_interval: Some(Duration::from_secs(interval)),
                keepalive_probes: Some(probes),
                ..TcpOptions::default()
            };
            let (set, _) = set_on_a_socket(options).await;
            let interval = Some(Duration::from_secs(seconds));
            assert_eq!((set.keepalive_interval, set.keepalive_probes), (interval, Some(taken)));
            assert_eq!(set.keepalive, TcpOptions::default().keepalive);
        }
    }

    #[tokio::test]
    async fn a_period_that_the_kernel_does_not_take_is_the_nearest_that_it_does() {
        let user_timeout = Some(Duration::from_secs(7));
        for (asked, seconds) in
            [(Duration::ZERO, 1), (Duration::from_millis(1500), 1), (Duration::MAX, 32_767)]
        {
            let options = TcpOptions { keepalive: Some(asked), user_timeout, ..TcpOptions::default() };
            let (set, _) = set_on_a_socket(options).await;
            let period = Some(Duration::from_secs(seconds));
            assert_eq!((set.keepalive, set.user_timeout), (period, user_timeout), "{asked:?}");
            assert_eq!(set.keepalive_interval, period, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn sockets_are_left_to_the_kernel_when_that_is_wished() {
        let (set, nodelay) =
            set_on_a_socket(TcpOptions { keepalive: None, user_timeout: None, ..TcpOptions::default() })
                .await;
        assert_eq!((set.keepalive, set.user_timeout, nodelay), (None, None, true));
    }

    #[tokio::test]
    async fn times_that_the_system_cannot_count_are_the_next_that_it_can() {
        let seconds = Duration::from_secs;
        for (time, keepalive, user_timeout) in [
            (Duration::from_millis(1), seconds(1), Duration::from_millis(1)),
            (Duration::MAX, seconds(32_767), Duration::from_millis(i32::MAX as u64)),
        ] {
            let options =
                TcpOptions { keepalive: Some(time), user_timeout: Some(time), ..TcpOptions::default() };
            let (set, _) = set_on_a_socket(options).await;
            assert_eq!((set.keepalive, set.user_timeout), (Some(keepalive), Some(user_timeout)));
        }
    }
}
