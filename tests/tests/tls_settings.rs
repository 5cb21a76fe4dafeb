//! Certificates, keys and names that cannot be used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its functions too")]

use rpc_client::rustls::ALL_VERSIONS;
use rpc_client::{Client, ConnectError};
use rpc_server::{Identity, PemSource, Roots, ServerTls, TlsError};
use tests::{Authority, Lines};

#[test]
fn settings_that_cannot_be_are_told_with_the_files_name() {
    let (authority, other) = (Authority::new(), Authority::new().issue(&["localhost"]));
    let issued = authority.issue(&["localhost"]);
    let directory = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let (chain, key) = (file("chain.pem", &issued.certificate), file("key.pem", &issued.key));
    Identity::from_files(&chain, &key).unwrap();
    let place = directory.path().display().to_string();
    let told = |error: TlsError| error.to_string().replace(&place, "DIRECTORY");

    let missing = Identity::from_files(&chain, directory.path().join("none")).unwrap_err();
    assert!(matches!(missing, TlsError::Unreadable { .. }));
    assert_eq!(told(missing), "cannot read DIRECTORY/none: No such file or directory (os error 2)");
    let error = Identity::from_files(&key, &chain).unwrap_err();
    assert!(matches!(&error, TlsError::NoCertificate { pem: PemSource::File(file) } if *file == key));
    assert_eq!(
        told(error),
        "no certificate in DIRECTORY/key.pem: it has no \"BEGIN CERTIFICATE\"; is it the right one?"
    );
    let error = Identity::from_files(&chain, &chain).unwrap_err();
    assert_eq!(
        told(error),
        "no private key in DIRECTORY/chain.pem: it has no \"BEGIN PRIVATE KEY\"; is it the right one, and not \
         encrypted?"
    );
    let error = Identity::from_files(&chain, file("other.pem", &other.key)).unwrap_err();
    assert!(matches!(error, TlsError::Mismatch { .. }));
    assert_eq!(
        told(error),
        "the private key in DIRECTORY/other.pem is not that of the first certificate in DIRECTORY/chain.pem; \
         is one of them older, and the server's own certificate the first?"
    );
    let half = &issued.certificate[..100];
    let error = Roots::from_file(file("half.pem", half)).unwrap_err();
    assert_eq!(told(error), "DIRECTORY/half.pem is not sound PEM: a section has no end; is it damaged?");
    assert!(matches!(Roots::from_pem(b""), Err(TlsError::NoCertificate { pem: PemSource::Bytes })));
    assert!(matches!(
        Roots::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        Err(TlsError::Certificate { .. })
    ));
    assert_eq!(format!("{:?}", issued.identity()), "Identity { certificates: 1, .. }");

    let decided = ServerTls::from_config(issued.server_config(ALL_VERSIONS).into());
    assert!(matches!(decided.client_roots(authority.roots()), Err(TlsError::Decided)));
}

#[tokio::test]
async fn a_name_that_no_certificate_can_be_for_is_told() {
    let lines = Lines::default();
    let _far = lines.lay();
    let nameless = Client::builder().tls(Authority::new().client().server_name("no name"));
    let error = nameless.connect_with(lines, "https://far:1").await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsSettings { source: TlsError::Name { .. }, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot connect to https://far:1: \"no name\" is neither a DNS name nor an IP address: no certificate \
         can be for it"
    );
}
