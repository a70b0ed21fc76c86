//! One gRPC call: what is known of its caller goes with it, and it ends in time.

use std::future::Future;
use std::time::Duration;

use tonic::{Request, Response, Status};

use super::{Caller, Failure};
use crate::answer::PlainError;

/// A call about to be made on behalf of an HTTP request.
#[derive(Debug)]
pub(crate) struct Call {
    rpc: &'static str,
    caller: Caller,
    timeout: Duration,
}

impl Call {
    /// Describes a call of `rpc` that fails unless it is answered within `timeout`.
    pub(crate) fn new(rpc: &'static str, caller: Caller, timeout: Duration) -> Self {
        Self { rpc, caller, timeout }
    }

    /// Wraps a message into a request that carries what is known of the caller.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        self.caller.request(message)
    }

    /// Waits for the answer; of a stream, only for its start. Giving up drops the call, which cancels it.
    pub(crate) async fn run<R>(&self, answer: impl Future<Output = Result<Response<R>, Status>>) -> Result<R, Failure> {
        // The in-process channel enforces no deadlines, so this cannot be left to a `grpc-timeout`.
        let result = match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {:?}", self.timeout))),
        };
        result.map(Response::into_inner).map_err(|status| self.fail(status))
    }

    /// Reports an answer that the contract of the service rules out.
    pub(crate) fn unexpected(&self, answer: &'static str) -> PlainError {
        self.fail(Status::internal(answer)).report()
    }

    fn fail(&self, status: Status) -> Failure {
        Failure::new(self.rpc, self.caller.request_id().clone(), status)
    }
}
