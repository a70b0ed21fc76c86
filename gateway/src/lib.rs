//! Steward's HTTP gateway: the documented legacy APIs, translated into gRPC calls.
