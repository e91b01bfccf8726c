//! Shakes hands with itself over loopback, and says what was agreed upon: `cargo run -p proxy-tls --example handshake`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use proxy_core::stream::{read, shutdown, write_all};
use proxy_core::{Dial, Endpoint, Listen, TcpDialer, TcpListener};
use proxy_tls::rustls::pki_types::ServerName;
use proxy_tls::{
    Certificate, CertificateStore, Certificates, ClientOptions, ServerOptions, TicketKeys, Trust, accept,
    certificates_from_pem, client_config, connect, server_config,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["edge.example".to_owned()])?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let own = Certificate::from_pem(certificate.as_bytes(), key.as_bytes())?;
    println!("a certificate for {}", own.names().join(", "));
    let server = server_config(
        Arc::new(CertificateStore::new(Certificates::new(&[own], true))),
        &ServerOptions::default(),
        &TicketKeys::default(),
    )?;
    let pinned = Trust::Pinned(certificates_from_pem(certificate.as_bytes())?.into());
    let client = client_config(&ClientOptions::default().trust(pinned))?;

    let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let at = Endpoint::Ip(listener.local_addr()?);
    let dialler = TcpDialer::default();
    let (dialled, accepted) = tokio::join!(dialler.dial((&at).into()), listener.accept());
    let (near, (far, _)) = (dialled?, accepted?);
    let name = ServerName::try_from("edge.example")?;
    let (client, server) = tokio::join!(connect(near, client, name), accept(far, server, Vec::new()));
    let (client, server) = (client.map_err(|failed| failed.error)?, server.map_err(|failed| failed.error)?);
    println!("{:?}", server.agreed());

    write_all(&client, b"question").await?;
    shutdown(&client).await?;
    let mut buf = [0; 64];
    let n = read(&server, &mut buf).await?;
    println!(
        "{n} bytes, then {} and no truncation: {}",
        read(&server, &mut buf).await?,
        !server.was_truncated()
    );
    Ok(())
}
