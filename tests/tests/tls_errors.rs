//! Handshakes that fail, and what is said of the cause.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use std::time::Duration;

use rpc_client::rustls::{AlertDescription, SupportedProtocolVersion, version};
use rpc_client::{Client, ClientTls, ConnectError, TlsError, TlsFailure};
use rpc_server::{Identity, ServerTls};
use tests::{Authority, arith, listen, listen_tls, within};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const DAY: Duration = Duration::from_secs(86_400);

/// Not on the edge between two numbers.
const MINUTE: Duration = Duration::from_secs(60);

/// What a client is told, and the failure in it; `ADDRESS` stands for the address.
async fn told(address: &str, tls: ClientTls) -> (TlsFailure, String) {
    let error = within(Client::builder().tls(tls).connect(address)).await.unwrap_err();
    let text = error.to_string();
    match error {
        ConnectError::TlsHandshake { source, .. } => (source, text.replace(address, "ADDRESS")),
        other => panic!("{other:?}"),
    }
}

macro_rules! assert_told {
    ($address:expr, $tls:expr, $failure:pat, $text:expr) => {
        let (failure, text) = told(&$address, $tls).await;
        assert!(matches!(failure, $failure), "{failure:?}");
        assert_eq!(text, format!("cannot connect to ADDRESS: {}", $text));
    };
}

async fn serve(identity: Identity) -> String {
    listen_tls(arith(), &ServerTls::new(identity).unwrap()).await.0
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told() {
    let authority = Authority::new();
    let address = serve(authority.issue(&["other.example", "10.0.0.1"]).identity()).await;
    assert_told!(
        address,
        authority.client(),
        TlsFailure::WrongName { .. },
        "the certificate is not for 127.0.0.1, but for other.example, 10.0.0.1; is it the right server?"
    );
    let named = authority.client().server_name("other.example");
    within(Client::builder().tls(named).connect(&address)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_or_to_come_is_told() {
    let authority = Authority::new();
    let address = serve(authority.issue_expired(&["127.0.0.1"], 2 * DAY + MINUTE).identity()).await;
    assert_told!(
        address,
        authority.client(),
        TlsFailure::Expired { ago: Some(_) },
        "the certificate has expired 2 days ago; is it to be renewed, or this machine's clock wrong?"
    );
    let address = serve(authority.issue_early(&["127.0.0.1"], DAY + MINUTE).identity()).await;
    assert_told!(
        address,
        authority.client(),
        TlsFailure::NotYetValid { ahead: Some(_) },
        "the certificate is not valid yet, but in 24 hours; is this machine's clock wrong?"
    );
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_told() {
    const TEXT: &str = "the certificate was issued by nobody who is trusted here; is its authority among the \
                        roots, and does the other side send all certificates between?";
    let address = listen_tls(arith(), &Authority::new().server()).await.0;
    assert_told!(address, Authority::new().client(), TlsFailure::UnknownIssuer, TEXT);
    // By default what the platform trusts is trusted, if it has anything of the kind.
    match within(Client::connect(&address)).await.unwrap_err() {
        ConnectError::TlsHandshake { source: TlsFailure::UnknownIssuer, .. }
        | ConnectError::TlsSettings { source: TlsError::PlatformRoots { .. }, .. } => {}
        other => panic!("{other:?}"),
    }
}

/// As when an authority was made anew.
#[tokio::test]
async fn another_authority_of_the_same_name_is_told() {
    const CAUSE: &str = "; is there another authority of the same name, an older one say?";
    let (old, new) = (Authority::named("ours"), Authority::named("ours"));
    let address = listen_tls(arith(), &old.server()).await.0;
    assert_told!(
        address,
        new.client(),
        TlsFailure::Certificate { .. },
        format!(
            "the certificate of the other side cannot be trusted: invalid peer certificate: BadSignature{CAUSE}"
        )
    );
    let address = listen_tls(arith(), &old.mutual_server()).await.0;
    assert_told!(
        address,
        old.client().identity(new.issue(&["me.example"]).identity()),
        TlsFailure::CertificateRefused { alert: AlertDescription::DecryptError },
        format!("the other side refused our certificate: its signature does not fit (decrypt_error){CAUSE}")
    );
}

fn only(authority: &Authority, version: &'static SupportedProtocolVersion) -> ClientTls {
    ClientTls::from_config(authority.client_config(&[version], None).into())
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told_that_one_is_required() {
    let authority = Authority::new();
    let address = listen_tls(arith(), &authority.mutual_server()).await.0;
    for version in [&version::TLS13, &version::TLS12] {
        assert_told!(
            address,
            only(&authority, version),
            TlsFailure::CertificateRequired,
            "a certificate of the client is required, and it showed none; was it given an identity?"
        );
        let identified = only(&authority, version).identity(authority.issue(&["me.example"]).identity());
        within(Client::builder().tls(identified).connect(&address)).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_whose_certificate_is_refused_is_told() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let address = listen_tls(arith(), &authority.mutual_server()).await.0;
    for version in [&version::TLS13, &version::TLS12] {
        let unknown = stranger.issue(&["me.example"]).identity();
        assert_told!(
            address,
            only(&authority, version).identity(unknown),
            TlsFailure::CertificateRefused { alert: AlertDescription::UnknownCA },
            "the other side refused our certificate: it does not know its authority (unknown_ca); is the \
             authority among its roots?"
        );
        let expired = authority.issue_expired(&["me.example"], DAY).identity();
        assert_told!(
            address,
            only(&authority, version).identity(expired),
            TlsFailure::CertificateRefused { alert: AlertDescription::CertificateExpired },
            "the other side refused our certificate: it has expired (certificate_expired); is it to be \
             renewed, or a clock wrong?"
        );
    }
}

#[tokio::test]
async fn a_client_without_tls_is_told_that_the_port_is_one_for_tls() {
    let (address, _server) = listen_tls(arith(), &Authority::new().server()).await;
    let address = address.strip_prefix("https://").unwrap();
    let error = within(Client::connect(address)).await.unwrap_err();
    assert!(matches!(error, ConnectError::ServerSpeaksTls { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to {address}: the server speaks TLS there; is the address to begin with https://?"
        )
    );
}

#[tokio::test]
async fn a_client_with_tls_is_told_that_the_port_is_one_without() {
    let (address, _server) = listen(arith()).await;
    assert_told!(
        format!("https://{address}"),
        Authority::new().client(),
        TlsFailure::NotTls,
        "the other side does not speak TLS here; is it the right port, and one for TLS?"
    );
}

#[tokio::test]
async fn protocols_and_versions_that_are_not_in_common_are_told() {
    let authority = Authority::new();
    let mut config = authority.issue(&["127.0.0.1"]).server_config(&[&version::TLS12]);
    let old = listen_tls(arith(), &ServerTls::from_config(config.clone().into())).await.0;
    assert_told!(
        old,
        only(&authority, &version::TLS13),
        TlsFailure::Incompatible { .. },
        "no version or cipher of TLS in common: received fatal alert: ProtocolVersion; is the other side \
         older than TLS 1.2, or set to special ciphers?"
    );
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = listen_tls(arith(), &ServerTls::from_config(config.into())).await.0;
    assert_told!(
        address,
        authority.client(),
        TlsFailure::NoCommonProtocol,
        "the other side speaks other protocols than http/1.1 over TLS (ALPN); is it the right port?"
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        // What was said is read, so that it is no reset.
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.shutdown().await.unwrap();
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap();
    });
    assert_told!(
        address,
        Authority::new().client(),
        TlsFailure::Closed { .. },
        "the connection was closed during the TLS handshake; does the other side speak TLS, and is it not \
         overloaded?"
    );
}
