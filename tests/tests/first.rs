//! The first calls.

use tests::{Args, ArithClient, Quotient, arith, join, listen};

#[tokio::test]
async fn a_typed_call_comes_back_over_tcp() {
    let (address, _server) = listen(arith()).await;
    let client = rpc_client::Client::connect(address.to_string()).await.unwrap();
    let arith = ArithClient::new(client.clone());
    assert_eq!(arith.multiply(Args { a: 7, b: 8 }).await.unwrap(), 56);
    let args = Args { a: 17, b: 5 };
    let quotient: Quotient = client.call("Arith.Divide", &args).await.unwrap();
    assert_eq!(quotient, Quotient { quo: 3, rem: 2 });
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_call_goes_through_a_pipe() {
    let (client, _server) = join(arith()).await;
    let arith = ArithClient::new(client);
    let error = arith.divide(Args { a: 1, b: 0 }).await.unwrap_err();
    assert_eq!(error.status().unwrap().message(), "divide by zero");
}
