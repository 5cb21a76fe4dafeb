//! Forward proxies that the environment names. It is a process's, so that each is tried in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::process::Command;

use rpc_client::{Client, Proxy};
use tests::{Args, ForwardProxy, arith, listen, within};

/// `ann:secret`, as Basic writes it.
const ANN: &str = "Basic YW5uOnNlY3JldA==";

const VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// Runs the test below in a process of its own, with these variables and no others of their kind. What it printed when it
/// failed.
async fn with_environment(variables: &[(&str, String)], server: String) -> Result<(), String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_call_with_the_proxies_of_the_environment", "--ignored"]);
    for name in VARIABLES {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.env_remove("REQUEST_METHOD").env("SERVER", server);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = within(tokio::task::spawn_blocking(move || command.output())).await.unwrap().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(printed).unwrap()) }
}

#[tokio::test]
#[ignore = "run by the next, with an environment"]
async fn a_call_with_the_proxies_of_the_environment() {
    let server = std::env::var("SERVER").unwrap();
    let client = within(Client::builder().proxy(Proxy::from_env()).connect(server)).await.unwrap();
    let product: i64 = within(client.call("Arith.Multiply", Args { a: 7, b: 8 })).await.unwrap();
    assert_eq!(product, 56);
}

#[tokio::test]
async fn the_environment_names_proxies_and_what_goes_without() {
    let (address, _server) = listen(arith()).await;
    let (at, port) = (address.to_string(), address.port());
    let http = ForwardProxy::http(Some(ANN)).await;
    let socks = ForwardProxy::socks5(Some(("ann", "secret"))).await;
    let by_http = format!("http://ann:secret@{}", http.address());
    let by_socks = format!("socks5://ann:secret@{}", socks.address());
    let nowhere = "http://127.0.0.1:1".to_owned();
    for (variables, server, proxy) in [
        (vec![], at.clone(), None),
        (vec![("HTTP_PROXY", by_http.clone())], at.clone(), Some(&http)),
        (vec![("http_proxy", by_http.clone())], at.clone(), Some(&http)),
        (vec![("ALL_PROXY", by_socks.clone())], at.clone(), Some(&socks)),
        (vec![("all_proxy", by_socks.clone())], format!("far.example:{port}"), Some(&socks)),
        (vec![("ALL_PROXY", nowhere.clone()), ("HTTP_PROXY", by_http.clone())], at.clone(), Some(&http)),
        (vec![("HTTPS_PROXY", nowhere.clone())], at.clone(), None),
        (
            vec![("HTTP_PROXY", nowhere.clone()), ("NO_PROXY", "far.example, 127.0.0.0/8".into())],
            at.clone(),
            None,
        ),
        (vec![("HTTP_PROXY", nowhere.clone()), ("no_proxy", "*".into())], format!("localhost:{port}"), None),
        (vec![("HTTP_PROXY", nowhere.clone()), ("REQUEST_METHOD", "GET".into())], at.clone(), None),
        (vec![("HTTP_PROXY", by_http.clone()), ("NO_PROXY", "near.example".into())], at.clone(), Some(&http)),
    ] {
        let before = (http.asked().len(), socks.asked().len());
        with_environment(&variables, server.clone()).await.unwrap();
        let seen = (http.asked().len() - before.0, socks.asked().len() - before.1);
        let expected = match proxy {
            Some(proxy) => {
                (usize::from(std::ptr::eq(proxy, &http)), usize::from(std::ptr::eq(proxy, &socks)))
            }
            None => (0, 0),
        };
        assert_eq!(seen, expected, "{variables:?} {server}");
    }
    // The server does not speak TLS, which is another matter.
    let before = http.asked().len();
    let told = with_environment(&[("HTTPS_PROXY", by_http)], format!("https://{at}")).await.unwrap_err();
    assert!(told.contains("TlsHandshake"), "{told}");
    assert_eq!(http.asked().len() - before, 1);
    let told =
        with_environment(&[("HTTP_PROXY", "https://ann:hunter2@127.0.0.1:1".into())], at).await.unwrap_err();
    assert!(told.contains("ForwardProxy") && told.contains("Kind") && !told.contains("hunter2"), "{told}");
}
