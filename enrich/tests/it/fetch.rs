//! URLs, from a server with TLS: whom it is trusted by, and what is fetched again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::catalog::Catalog;
use crate::harness::alone;

/// Has one document; answers 304 to whom knows its state.
struct Server {
    url: String,
    /// In PEM.
    certificate: String,
    /// The document and its `ETag`.
    document: Arc<Mutex<(String, String)>>,
    /// The status of each answer.
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Server {
    fn start() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/feed", listener.local_addr().unwrap().port());
        let document = Arc::new(Mutex::new((String::new(), String::new())));
        let answers = Arc::default();
        let server = Self {
            url,
            certificate: cert.pem(),
            document: Arc::clone(&document),
            answers: Arc::clone(&answers),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                let (mut request, mut byte) = (Vec::new(), [0]);
                // Who does not trust the certificate sends no request.
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    request.push(byte[0]);
                }
                if request.is_empty() {
                    continue;
                }
                let request = String::from_utf8(request).unwrap().to_lowercase();
                let (body, etag) = document.lock().unwrap().clone();
                let knows = request.contains(&format!("if-none-match: {etag}\r\n"));
                let (status, body) = if knows { (304, "") } else { (200, body.as_str()) };
                answers.lock().unwrap().push(status);
                let head = format!(
                    "HTTP/1.1 {status} Well\r\nETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body.as_bytes()).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        });
        server
    }

    fn put(&self, document: &str, etag: &str) {
        *self.document.lock().unwrap() = (document.to_owned(), etag.to_owned());
    }

    fn answers(&self) -> Vec<u16> {
        std::mem::take(&mut self.answers.lock().unwrap())
    }
}

#[test]
fn a_url_is_fetched_over_tls_and_not_again_before_it_changes() {
    let _alone = alone();
    let catalog = Catalog::start("fetch");
    let server = Server::start();
    let certificate = catalog.cluster.directory.join("certificate.pem");
    std::fs::write(&certificate, &server.certificate).unwrap();
    let seen = catalog.cluster.directory.join("seen.json");
    let arguments = ["import", "--seen", seen.to_str().unwrap(), &server.url];
    let trusting = || {
        let (content, said) =
            catalog.run_with(&arguments, &[("SSL_CERT_FILE", certificate.to_str().unwrap())]);
        assert!(content, "{said}");
        said
    };
    let record = |day| Catalog::record("USN-1-1", "pkg0", day);
    server.put(&record(5), "\"five\"");

    let (content, said) = catalog.run(&arguments);
    assert!(!content && said.contains("certificate"), "{said}");
    assert_eq!(server.answers(), [0_u16; 0], "an unknown certificate is not trusted");
    assert!(trusting().contains("published: 1 (1 new, 0 changed)"));
    assert!(trusting().contains("skipped: 1 (URLs that have not changed since"));
    assert_eq!(server.answers(), [200, 304]);
    server.put(&record(6), "\"six\"");
    assert!(trusting().contains("published: 1 (0 new, 1 changed)"));
    // What had a fault is fetched until it has none.
    server.put("{\"id\": 7, \"modified\": \"\", \"affected\": []}", "\"broken\"");
    for _ in 0..2 {
        let (content, said) =
            catalog.run_with(&arguments, &[("SSL_CERT_FILE", certificate.to_str().unwrap())]);
        assert!(!content && said.contains("unusable: 1"), "{said}");
    }
    assert_eq!(server.answers(), [200, 200, 200]);
    // Into a topic that was made anew everything is fetched again.
    server.put(&record(6), "\"six\"");
    assert!(trusting().contains("unchanged: 1"));
    catalog.cluster.delete_topic(&catalog.cluster.topics.advisories);
    assert!(trusting().contains("published: 1 (1 new, 0 changed)"));
    assert_eq!(server.answers(), [200, 200]);
}
