//! Steward's HTTP gateway: the documented legacy APIs, translated into gRPC calls.
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub absent_success: AbsentSuccess,
}
#[derive(Clone, Copy, Debug, Default)]
pub enum AbsentSuccess {
    #[default]
    Failure,
    Infer,
}
pub fn router<C>(_c: C, _o: Options, _s: tokio_util::sync::CancellationToken) -> axum::Router
where
    C: Clone,
{
    axum::Router::new()
}
