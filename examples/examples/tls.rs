//! TLS both ways: the server shows a certificate, and takes only clients that show one, too.

use rpc_client::{Client, ClientTls};
use rpc_core::{Context, Status};
use rpc_server::{Identity, Roots, Server, ServerTls};
use tokio::net::TcpListener;

/// An authority of one's own. Elsewhere certificates and keys come from files: `Identity::from_files`,
/// `Roots::from_file`.
struct Authority {
    certificate: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> anyhow::Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: rcgen::Issuer::new(params, key) })
    }

    fn issue(&self, name: &str) -> anyhow::Result<Identity> {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new([name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?)
    }

    fn roots(&self) -> anyhow::Result<Roots> {
        Ok(Roots::from_pem(self.certificate.as_bytes())?)
    }
}

async fn greet(cx: Context, (): ()) -> Result<String, Status> {
    let names = cx.peer().tls.as_ref().map(|tls| tls.dns_names.join(", "));
    Ok(format!("Hello, {}!", names.unwrap_or_default()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("https://localhost:{}", listener.local_addr()?.port());

    // Without `client_roots`, clients need no certificate.
    let tls = ServerTls::new(authority.issue("localhost")?)?.client_roots(authority.roots()?)?;
    let server = Server::builder().register_fn("Greeter.Hello", greet);
    tokio::spawn(server.serve(listener).tls(tls.clone()).into_future());

    // Without `roots`, what the platform trusts is trusted.
    let trusting = ClientTls::new().roots(authority.roots()?);
    let known = trusting.clone().identity(authority.issue("alice.example")?);
    let client = Client::builder().tls(known).connect(&address).await?;
    println!("{}", client.call::<_, String>("Greeter.Hello", ()).await?);

    let Err(error) = Client::builder().tls(trusting).connect(&address).await else {
        anyhow::bail!("somebody without a certificate was let in");
    };
    println!("{error}");

    // A new certificate, for connections from now on; the open one is left alone.
    tls.replace(authority.issue("localhost")?)?;
    println!("{}", client.call::<_, String>("Greeter.Hello", ()).await?);
    Ok(())
}
