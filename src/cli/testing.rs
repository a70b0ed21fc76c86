//! What the tests of the commands have in common: output that can be looked at, and small servers.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io::{self, Write};
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use futures::Stream;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Router;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::console::{Console, Format};

/// What a method of a small service answers.
pub(crate) type Answer<T> = Result<Response<T>, Status>;
/// The same as a stream.
pub(crate) type AnswerStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Standard output that a test can read while it is written.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    text: Arc<Mutex<String>>,
    changes: watch::Sender<()>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Output { text: Arc::default(), changes: watch::Sender::new(()) }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    pub(crate) async fn until(&self, is_so: impl Fn(&str) -> bool) {
        self.changes.subscribe().wait_for(|()| is_so(&self.text())).await.unwrap();
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        self.changes.send_replace(());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The console that the command line `words` asks for.
pub(crate) fn console_of(words: &[&str], output: &Output) -> Console {
    let format = if words.contains(&"--json") { Format::Json } else { Format::Text };
    Console::plain(Box::new(output.clone()), format)
}

/// Runs a command that does not end by itself until its output is as `is_so` says.
pub(crate) async fn watch<T: Debug>(command: impl Future<Output = T>, output: &Output, is_so: impl Fn(&str) -> bool) {
    tokio::select! {
        end = command => panic!("it ended with {end:?} after {:?}", output.text()),
        () = output.until(is_so) => {}
    }
}

/// A server that runs until it is stopped, as by `kill -9`.
#[derive(Debug)]
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            // A runtime of its own, whose end cuts every connection.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
                tokio::select! {
                    result = router.serve_with_incoming(incoming) => result.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Running { stop, thread }
    }

    /// Ends the server and its connections in the middle of whatever they do.
    pub(crate) fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// The refusal of a call.
pub(crate) fn refusal(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "steward", HashMap::new());
    Status::with_error_details(code, "refused by the fake", details)
}

/// The answer to calls that no test makes.
pub(crate) fn not_here() -> Status {
    Status::unimplemented("not in the fake")
}
