//! What interceptors see, on both sides.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_client::{Client, Error, Outgoing};
use rpc_core::{Code, Context, Executed, Status};
use tests::{Args, Gate, arith, eventually, listen, pipe, within};

/// What was seen, a line for each event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Near(&'static str, Log);

impl rpc_client::Interceptor for Near {
    fn before(&self, call: &mut Outgoing<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.1.note(format!("{} before {} {}", self.0, call.method, call.deadline.is_some()));
        call.metadata.insert("via", self.0)?;
        if call.method == "Arith.Forbidden" && self.0 == "b" { Err("not this one".into()) } else { Ok(()) }
    }

    fn after(&self, call: &rpc_client::Ended<'_>) {
        let outcome = match call.outcome {
            None => "dropped",
            Some(Ok(())) => "ok",
            Some(Err(Error::Status { .. })) => "status",
            Some(Err(Error::Intercepted { .. })) => "intercepted",
            Some(Err(_)) => "error",
        };
        self.1.note(format!("{} after {} {outcome}", self.0, call.method));
    }
}

struct Far(&'static str, Log);

impl rpc_server::Interceptor for Far {
    fn before(&self, cx: &Context) -> Result<(), Status> {
        let via: Vec<_> = cx.metadata().iter().map(|(_, value)| String::from_utf8_lossy(value)).collect();
        self.1.note(format!("{} before {} via {}", self.0, cx.method(), via.concat()));
        match cx.metadata().text("token") {
            Some("bad") if self.0 == "b" => Err(Status::permission_denied("bad token")),
            _ => Ok(()),
        }
    }

    fn after(&self, call: &rpc_server::Ended<'_>) {
        self.1.note(format!("{} after {} {:?}", self.0, call.method, call.code));
    }
}

#[tokio::test]
async fn a_client_interceptor_sees_every_call_and_every_end() {
    let (gate, log) = (Gate::new(), Log::default());
    let (address, _server) = listen(gate.register(arith())).await;
    let builder = Client::builder().interceptor(Near("a", log.clone())).interceptor(Near("b", log.clone()));
    let client = within(builder.connect(address.to_string())).await.unwrap();
    let args = Args { a: 7, b: 8 };
    let call = client.call::<_, i64>("Arith.Multiply", args).timeout(Duration::from_secs(60));
    within(call).await.unwrap();
    let seen = ["a before Arith.Multiply true", "b before Arith.Multiply true"];
    assert_eq!(log.take(), [&seen[..], &["b after Arith.Multiply ok", "a after Arith.Multiply ok"]].concat());

    within(client.start::<i64>("Arith.No", args)).await.unwrap_err();
    assert_eq!(log.take()[2..], ["b after Arith.No status", "a after Arith.No status"]);

    let error = within(client.call::<_, i64>("Arith.Forbidden", args)).await.unwrap_err();
    assert!(error.to_string().ends_with("refused by an interceptor: not this one"), "{error}");
    assert_eq!(error.executed(), Executed::No);
    assert_eq!(log.take()[2..], ["a after Arith.Forbidden intercepted"], "only the one that agreed");

    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    drop(call);
    assert_eq!(log.take()[2..], ["b after Gate.Pass dropped", "a after Gate.Pass dropped"]);
    gate.dropped().await;
}

struct Watch(Arc<Mutex<Option<Duration>>>);

impl rpc_client::Interceptor for Watch {
    fn after(&self, call: &rpc_client::Ended<'_>) {
        *self.0.lock().unwrap() = Some(call.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_interceptor_is_told_how_long_a_call_took_by_the_clock_of_the_runtime() {
    let (gate, elapsed) = (Gate::new(), Arc::default());
    let server = gate.register(arith()).build().unwrap();
    let builder = Client::builder().interceptor(Watch(Arc::clone(&elapsed)));
    let client = within(builder.over(pipe(&server))).await.unwrap();
    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    gate.open(1);
    within(call).await.unwrap();
    assert_eq!(elapsed.lock().unwrap().unwrap().as_millis(), 250);
}

#[tokio::test]
async fn a_server_interceptor_sees_what_the_clients_added_and_how_calls_ended() {
    let (gate, near, far) = (Gate::new(), Log::default(), Log::default());
    let builder =
        gate.register(arith()).interceptor(Far("a", far.clone())).interceptor(Far("b", far.clone()));
    let server = builder.build().unwrap();
    let client = within(Client::builder().interceptor(Near("x", near)).over(pipe(&server))).await.unwrap();
    let args = Args { a: 7, b: 0 };
    within(client.call::<_, i64>("Arith.Multiply", args)).await.unwrap();
    let seen = ["a before Arith.Multiply via x", "b before Arith.Multiply via x"];
    assert_eq!(
        far.take(),
        [&seen[..], &["b after Arith.Multiply None", "a after Arith.Multiply None"]].concat()
    );

    within(client.call::<_, i64>("Arith.Divide", args)).await.unwrap_err();
    assert_eq!(far.take()[2..], ["b after Arith.Divide Some(Unknown)", "a after Arith.Divide Some(Unknown)"]);

    let call = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    drop(call);
    gate.dropped().await;
    let ended = ["b after Gate.Pass Some(Cancelled)", "a after Gate.Pass Some(Cancelled)"];
    let mut seen = Vec::new();
    eventually("the dropped call ends", || {
        seen.extend(far.take());
        seen.len() == 4
    })
    .await;
    assert_eq!(seen[2..], ended);
}

#[tokio::test]
async fn a_call_that_a_server_interceptor_refuses_has_not_run() {
    let far = Log::default();
    let gate = Gate::new();
    let interceptors = |name| Far(name, far.clone());
    let builder = gate.register(arith()).interceptor(interceptors("a")).interceptor(interceptors("b"));
    let client = within(Client::new(pipe(&builder.build().unwrap()))).await.unwrap();
    let call = client.call::<_, i64>("Gate.Pass", 1).metadata("token", "bad");
    let error = within(call).await.unwrap_err();
    let status = error.status().unwrap();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "bad token"));
    assert_eq!(error.executed(), Executed::No);
    assert_eq!(gate.ran(), 0);
    assert_eq!(far.take()[2..], ["a after Gate.Pass Some(PermissionDenied)"], "only the one that agreed");
}
