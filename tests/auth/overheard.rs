//! A server that serves nobody, and tells what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use tokio::net::TcpListener;

/// What the calls had in their metadata.
#[derive(Clone, Debug)]
pub(crate) struct Overheard {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Overheard {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let overheard = Overheard { address, calls: Arc::default() };
        let calls = Arc::clone(&overheard.calls);
        let answer = move |request: Request| {
            let call = (request.uri().path().to_owned(), request.headers().clone());
            // Gateways ask of their own accord whether strangers are let in.
            if !call.0.ends_with("/GetCaller") {
                calls.lock().expect("nobody panicked").push(call);
            }
            std::future::ready([("content-type", "application/grpc"), ("grpc-status", "16")])
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        overheard
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().expect("nobody panicked").len()
    }

    /// A header of the last call.
    pub(crate) fn last(&self, name: &str) -> Option<String> {
        let calls = self.calls.lock().expect("nobody panicked");
        let (_, headers) = calls.last()?;
        headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    /// The method of the last call.
    pub(crate) fn last_path(&self) -> Option<String> {
        self.calls.lock().expect("nobody panicked").last().map(|(path, _)| path.clone())
    }
}
