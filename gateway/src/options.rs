//! What an operator can choose about the legacy APIs.

use http::HeaderName;
use serde::{Deserialize, Serialize};

/// Choices about the legacy APIs. Every one has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What an unlock without `success` means. The routes under `/infer` always infer.
    pub absent_success: AbsentSuccess,
    /// The header in which a proxy names the user. It is passed on; whether the proxy is believed, the server decides.
    #[serde(skip)]
    pub user_header: Option<HeaderName>,
}

/// What an unlock without `success` means. A `success` that is present always wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsentSuccess {
    /// The work failed, as the API documents it.
    #[default]
    Failure,
    /// The work succeeded when there is no error text. Some clients never send `success`.
    Infer,
}
