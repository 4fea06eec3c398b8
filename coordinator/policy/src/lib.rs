//! Pure decisions of the cluster: state and apply, placement, routing, failover, check.
