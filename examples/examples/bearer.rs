//! Who may call: bearer tokens, looked at once for each connection, before RPC begins.

use std::sync::Arc;

use anyhow::{bail, ensure};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use rpc_client::{Client, ConnectError};
use rpc_core::handshake::Refusal;
use rpc_core::{Context, Status};
use rpc_server::{Request, Server};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

#[derive(Clone, Debug)]
struct User(String);

/// Whose token is whose. A service reads them from where it keeps its secrets; they are random, and of one length.
struct Tokens(Vec<(&'static str, User)>);

impl Tokens {
    fn user(&self, request: &Request) -> Result<User, Refusal> {
        let shown = request.head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = shown.and_then(|value| value.strip_prefix(b"Bearer "));
        let shown = shown.ok_or_else(|| Refusal::unauthorized("a bearer token is needed"))?;
        let mut known = None;
        for (token, user) in &self.0 {
            // A comparison that ends at the first byte that differs, or a search that ends at the first token
            // that fits, tells by its time how much of a guess was right. The length is no secret.
            if token.as_bytes().ct_eq(shown).into() {
                known = Some(user);
            }
        }
        known.cloned().ok_or_else(|| Refusal::forbidden("nobody has that token"))
    }
}

async fn client(address: &str, token: Option<&str>) -> Result<Client, ConnectError> {
    let mut builder = Client::builder();
    if let Some(token) = token {
        let mut value =
            HeaderValue::try_from(format!("Bearer {token}")).expect("a token of letters and digits");
        // Not to be seen when somebody logs the headers.
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    builder.connect(address).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let tokens = Arc::new(Tokens(vec![
        ("2f1d8c0e5b7a4963", User("Ada".into())),
        ("90be64a1d3f7c582", User("Grace".into())),
    ]));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let server = Server::builder()
        .authorize(move |request: Request| {
            let tokens = tokens.clone();
            async move { tokens.user(&request) }
        })
        .register_fn("Me.Name", async |cx: Context, (): ()| {
            let User(name) = cx.extension().ok_or_else(|| Status::unauthenticated("nobody in particular"))?;
            Ok::<_, Status>(name.clone())
        });
    tokio::spawn(server.serve(listener).into_future());

    for (token, status) in
        [(None, StatusCode::UNAUTHORIZED), (Some("0000000000000000"), StatusCode::FORBIDDEN)]
    {
        let Err(error) = client(&address, token).await else { bail!("whoever came was let in") };
        println!("{error}");
        let ConnectError::Refused { source, .. } = error else { bail!("no refusal") };
        ensure!(source.status() == status);
    }
    for (token, name) in [("2f1d8c0e5b7a4963", "Ada"), ("90be64a1d3f7c582", "Grace")] {
        let client = client(&address, Some(token)).await?;
        let known: String = client.call("Me.Name", ()).await?;
        println!("{known} may call");
        ensure!(known == name);
    }
    Ok(())
}
