//! What a Rust program uses to call the service.
