//! What the tests of Go's `net/rpc` hold, held here. The Go test's name stands at each; where we
//! differ on purpose, the comment says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::collections::HashMap;

use rpc_client::Client;
use rpc_core::{Code, Context, Executed, Service, Status};
use rpc_server::{BuildError, Server};
use tests::{Args, ArithServer, Calculator, Gate, Quotient, arith, join, listen, within};

const SEVEN_AND_EIGHT: Args = Args { a: 7, b: 8 };

/// The text that the server answered with.
async fn refusal_of(client: &Client, method: &'static str) -> (Code, Executed, String) {
    let error = within(client.call::<_, i64>(method, &SEVEN_AND_EIGHT)).await.unwrap_err();
    let status = error.status().unwrap();
    (status.code(), status.executed(), status.message().to_owned())
}

async fn assert_serves(client: &Client) {
    assert_eq!(within(client.call::<_, i64>("Arith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap(), 56);
}

/// Go: TestRPC.
#[tokio::test]
async fn what_cannot_be_found_is_told_in_nets_words_and_the_connection_survives() {
    let (client, _server) = join(arith()).await;
    for (method, text) in [
        ("Arith2.Add", "rpc: can't find service Arith2.Add"),
        ("Arith.BadOperation", "rpc: can't find method Arith.BadOperation"),
        ("Arith", "rpc: service/method request ill-formed: Arith"),
    ] {
        let expected = (Code::Unimplemented, Executed::No, text.to_owned());
        assert_eq!(refusal_of(&client, method).await, expected);
        assert_eq!(refusal_of(&client, method).await, expected, "the second time, by its index");
    }
    assert_serves(&client).await;
}

/// Go: TestRPC. An error of the handler arrives as its text.
#[tokio::test]
async fn a_division_by_zero_arrives_as_its_text() {
    let (client, _server) = join(arith()).await;
    let error = within(client.call::<_, Quotient>("Arith.Divide", &Args { a: 7, b: 0 })).await.unwrap_err();
    let status = error.status().unwrap();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "divide by zero"));
    assert_eq!(error.executed(), Executed::Yes);
    assert_serves(&client).await;
}

/// Go: TestRPC. There the type is checked, here the bytes are: text is no pair of integers.
#[tokio::test]
async fn arguments_of_the_wrong_type_fail_their_call_and_the_connection_survives() {
    let (client, _server) = join(arith()).await;
    let error = within(client.call::<_, i64>("Arith.Multiply", "seven by eight")).await.unwrap_err();
    assert_eq!(error.status().unwrap().code(), Code::InvalidArgument);
    assert_eq!(error.executed(), Executed::No);
    assert_serves(&client).await;
}

/// Go: TestRPC, where three calls are started and awaited in the opposite order.
#[tokio::test]
async fn started_calls_are_answered_in_whatever_order_they_end() {
    let gate = Gate::new();
    let (client, _server) = join(gate.register(arith())).await;
    let first = client.start::<i64>("Gate.Pass", 1);
    gate.entered().await;
    assert_serves(&client).await;
    let second = client.start::<Quotient>("Arith.Divide", Args { a: 17, b: 5 });
    assert_eq!(within(second).await.unwrap(), Quotient { quo: 3, rem: 2 });
    gate.open(1);
    assert_eq!(within(first).await.unwrap(), 1);
}

/// Go: TestRPC (`Arith.Scan`, `Arith.String`, `net.rpc.Arith.Add`) and TestBuiltinTypes.
#[tokio::test]
async fn arguments_need_not_be_structs_and_service_names_may_have_dots() {
    let dotted = Service::from(ArithServer::new(Calculator)).named("net.rpc.Arith");
    let builder = arith()
        .register(dotted)
        .register_fn(
            "Built.Text",
            |_: Context, number: i64| async move { Ok::<_, Status>(number.to_string()) },
        )
        .register_fn(
            "Built.Map",
            |_: Context, n: i64| async move { Ok::<_, Status>(HashMap::from([(n, n)])) },
        )
        .register_fn("Built.Vec", |_: Context, (a, b): (i64, i64)| async move { Ok::<_, Status>(vec![a, b]) })
        .register_fn("Built.Array", |_: Context, n: [u16; 2]| async move { Ok::<_, Status>([n[1], n[0]]) });
    let (client, _server) = join(builder).await;
    let product: i64 = within(client.call("net.rpc.Arith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap();
    assert_eq!(product, 56);
    assert_eq!(within(client.call::<_, String>("Built.Text", 7)).await.unwrap(), "7");
    let map: HashMap<i64, i64> = within(client.call("Built.Map", 7)).await.unwrap();
    assert_eq!(map, HashMap::from([(7, 7)]));
    assert_eq!(within(client.call::<_, Vec<i64>>("Built.Vec", (7, 8))).await.unwrap(), [7, 8]);
    assert_eq!(within(client.call::<_, [u16; 2]>("Built.Array", [7u16, 8])).await.unwrap(), [8, 7]);
}

/// Go: TestRPC, whose `newServer` stands beside the default one.
#[tokio::test]
async fn two_servers_know_nothing_of_each_others_services() {
    let (one, _) = listen(arith()).await;
    let (other, _) =
        listen(Server::builder().register(Service::from(ArithServer::new(Calculator)).named("newArith")))
            .await;
    let one = within(Client::connect(one.to_string())).await.unwrap();
    let other = within(Client::connect(other.to_string())).await.unwrap();
    assert_serves(&one).await;
    assert_eq!(within(other.call::<_, i64>("newArith.Multiply", &SEVEN_AND_EIGHT)).await.unwrap(), 56);
    assert_eq!(refusal_of(&other, "Arith.Multiply").await.2, "rpc: can't find service Arith.Multiply");
}

/// Go: TestHTTP.
#[tokio::test]
async fn the_door_opens_at_the_default_path_and_at_any_other() {
    let (address, _) = listen(arith()).await;
    let client = within(Client::connect(address.to_string())).await.unwrap();
    assert_serves(&client).await;
    let (address, _) = listen(arith().path("/foo")).await;
    let elsewhere = Client::builder().path("/foo").connect(address.to_string());
    assert_serves(&within(elsewhere).await.unwrap()).await;
    let refused = within(Client::connect(address.to_string())).await.unwrap_err().to_string();
    assert!(refused.contains("404 Not Found"), "{refused}");
}

/// Go: TestServeRequest.
#[tokio::test]
async fn one_connection_is_served_over_a_pipe() {
    let server = arith().build().unwrap();
    let (near, far) = tokio::io::duplex(1024);
    let served = tokio::spawn(async move { server.serve_connection(far).await });
    let client = within(Client::new(near)).await.unwrap();
    assert_serves(&client).await;
    within(client.close()).await.unwrap();
    within(served).await.unwrap().unwrap();
}

/// Go: TestRegistrationError. That types cannot be sent is the compiler's to say here.
#[test]
fn a_service_registers_once_and_only_with_methods() {
    let twice = arith().register(ArithServer::new(Calculator)).build().unwrap_err();
    assert_eq!(twice.to_string(), "rpc: service already defined: Arith");
    let none = Server::builder().register(Service::new("Empty")).build().unwrap_err();
    assert_eq!(none, BuildError::NoMethods { service: "Empty".into() });
}

#[test]
fn methods_may_be_added_to_a_service_before_and_after_it_is_registered() {
    let more = |_: Context, (): ()| async { Ok::<_, Status>(()) };
    arith().register_fn("Arith.More", more).build().unwrap();
    Server::builder().register_fn("Arith.More", more).register(ArithServer::new(Calculator)).build().unwrap();
}

#[test]
fn a_server_that_would_serve_nobody_is_not_built() {
    assert_eq!(arith().path("rpc").build().unwrap_err(), BuildError::Path { path: "rpc".into() });
    assert_eq!(arith().formats([]).build().unwrap_err(), BuildError::NoFormat);
    let twice = arith().debug_page_at("/_rpc_").build().unwrap_err();
    assert_eq!(twice, BuildError::PathTwice { path: "/_rpc_".into() });
}
