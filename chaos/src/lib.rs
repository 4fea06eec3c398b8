//! Chaos experiments against a local cluster.
