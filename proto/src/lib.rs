//! The contract between processes: generated messages, conversions, Hello and CallContext.
