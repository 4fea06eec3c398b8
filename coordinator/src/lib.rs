//! The cluster's brain: Raft, the reconcile loop and the gateway.
