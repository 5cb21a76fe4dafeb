//! What a peer may have, and for how long.

use std::time::Duration;

use super::Builder;

impl Builder {
    /// The largest request taken, in bytes. Default 4 MiB, at least 64 KiB. A client that sends a
    /// larger one is disconnected; ours refuses to send it.
    pub fn max_frame(mut self, bytes: u32) -> Self {
        self.config.limits.max_frame = bytes;
        self
    }

    /// Calls in flight per connection. Default 1,024, from 1 to 65,536. Clients are told and hold
    /// themselves back; a call beyond is refused as `ResourceExhausted`.
    pub fn concurrency_limit_per_connection(mut self, calls: u32) -> Self {
        self.config.limits.max_calls = calls;
        self
    }

    /// Calls with streams at a time per connection, among the calls in flight. Default 256, up to 65,536;
    /// 0: none. Clients are told; a call beyond is refused as `ResourceExhausted`.
    pub fn max_streams_per_connection(mut self, streams: u32) -> Self {
        self.config.limits.max_streams = streams;
        self
    }

    /// Bytes of items that a client may send on a stream before its handler takes them, each counted as
    /// 32 more. Default 512 KiB, from 64 KiB to 2,147,483,647 bytes. The memory that a stream may take is this and its
    /// largest item; on a link with much delay it bounds the rate of a stream.
    pub fn stream_window(mut self, bytes: u32) -> Self {
        self.config.limits.window = bytes;
        self
    }

    /// The time for a request head to arrive whole. Default 10 s; then 408 (Go:
    /// `ReadHeaderTimeout`).
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.config.head_timeout = timeout;
        self
    }

    /// The largest request head, in bytes. Default 8 KiB; then 431 (Go: `MaxHeaderBytes`).
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.config.max_head = bytes;
        self
    }

    /// Connections at a time. Default 10,000; one more gets 503. Up to 256 at a time are told so;
    /// others are closed without a word.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.config.max_connections = connections;
        self
    }

    /// Connections at a time from one IP address, whatever the port. Default: as many as there are;
    /// one more gets 503. Set it where clients come from everywhere, and not through one proxy or
    /// translated address. IPv6 addresses count one by one, though a host may have many.
    ///
    /// Connections without an address, as those of
    /// [`serve_connection`](crate::Server::serve_connection), are not limited.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.config.max_connections_per_address = Some(connections);
        self
    }

    /// Memory that the arguments of waiting calls may take, and the items of streams that their handlers
    /// have not taken, over all connections, in bytes; each call counts for 1 KiB more. Default 1 GiB; a call
    /// beyond is refused as `ResourceExhausted`, and an item beyond ends its stream so. Calls
    /// that come in at the same moment on several threads are not counted against each other, so it may
    /// be exceeded by one call for each thread.
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.config.max_memory = bytes;
        self
    }

    /// Bytes of answers that may wait for a client to take them. Default 1 MiB; above that its
    /// requests are not read and its handlers not polled. One answer may go beyond it.
    pub fn output_mark(mut self, bytes: usize) -> Self {
        self.config.output_mark = bytes.max(1);
        self
    }

    /// The time for a frame to arrive whole once it has begun to. Default 60 s (Go: `ReadTimeout`); then
    /// the client is told so (GoAway) and disconnected, and its handlers are cancelled. For clients that
    /// send a byte now and then; one that says nothing at all is asked sooner
    /// ([`ping_interval`](Self::ping_interval)).
    ///
    /// Each frame has the whole time, and while this server does not read (see
    /// [`output_mark`](Self::output_mark)) it does not run. Raise it where frames are large and
    /// links are slow: in 60 s the largest frame of 4 MiB comes through at 70 kB a second.
    /// [`Duration::MAX`] is no limit.
    pub fn frame_timeout(mut self, timeout: Duration) -> Self {
        self.config.frame_timeout = timeout;
        self
    }

    /// How long a connection may go without a call in flight and without a request coming in. Default,
    /// and `None`: for ever. Pings are no use of it. (Go: `IdleTimeout`; gRPC: `MAX_CONNECTION_IDLE`.)
    ///
    /// Then its client is told (GoAway) and the connection closes in good order. Ours connects
    /// again at its next call, which does not fail for it; one that does not know of this reason
    /// comes back at once. Set it where many clients stay connected and call seldom, and well above
    /// the time that a call takes to get here, a dial included.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.idle_timeout = timeout.into();
        self
    }

    /// The most time that a handler gets, whatever the client asked for. Default: as long as its client
    /// waits. (Go: `http.TimeoutHandler`.)
    ///
    /// The deadline that handlers see is the earlier of the two. When it passes, the handler is
    /// dropped and the call answered `DeadlineExceeded`. A blocking handler cannot be dropped: it
    /// is told by its [`Context`](rpc_core::Context), and its call is answered, and slot and memory
    /// are free, when it has ended. One that computes in the task of its connection is dropped when
    /// it next waits.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.call_timeout = timeout.into();
        self
    }

    /// How long a client may take nothing of what waits for it. Default 10 s; then it is
    /// disconnected (Go: `WriteTimeout`).
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout;
        self
    }

    /// After so long without a byte from a client it is asked whether it is there (Ping). Default
    /// 30 s, at least 1 s. `None`: never, and a client whose host vanished is noticed by TCP alone,
    /// if this is TCP.
    ///
    /// A client that has closed its side cannot answer, and may still wait for its results; it is
    /// pinged every interval until a write fails, with `None` every 30 s.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.config.ping_interval = interval.into().map(|interval| interval.max(Duration::from_secs(1)));
        self
    }

    /// How long a client that was asked may say nothing at all. Default 10 s; then the connection
    /// fails as [`Unresponsive`](crate::ConnectionError::Unresponsive) and its handlers are cancelled.
    /// The time begins when the Ping has left.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.ping_timeout = timeout;
        self
    }

    /// How old a connection may get, 10 % more or less, so that those which were made together do not
    /// end together. Default: as old as it likes. Set it where clients should spread over new servers,
    /// or see their credentials checked again.
    ///
    /// Then its client is told to make no new calls on it (GoAway), and can connect again at once; calls
    /// in flight go on for the [`grace`](Self::grace), then they are cancelled, and the callers told
    /// `Unavailable`. The connection closes with the last of them. A request that takes longer to send
    /// than a connection may last never arrives.
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.config.max_connection_age = Some(age);
        self
    }

    /// How long calls in flight may go on when the server shuts down, or their connection has reached
    /// its [largest age](Self::max_connection_age). Default 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }
}
