//! What a Rust program uses to call the service.
//!
//! Any coordinator serves any call, so a [`Client`] knows several and turns to the next when one does not answer. A call
//! is tried again only while nothing of its answer has been read, and only when a repetition does no harm: `retry.rs`
//! decides.

mod backup;
mod cluster;
mod endpoints;
mod error;
mod inference;
mod members;
mod retry;
mod session;
mod transport;

pub use endpoints::{Client, ClientOptions};
pub use error::ClientError;
pub use inference::TokenStream;
pub use members::Addition;
pub use session::Session;
