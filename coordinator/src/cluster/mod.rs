//! ClusterService: the bootstrap, the cluster's status, its members, nodes that join and watch their part, models,
//! tenants, keys.
//!
//! Any coordinator answers; writes go to the leader through the log. Reads say what they promise: confirmed by a
//! majority, or what this coordinator has applied, with its age.

mod backup;
mod freshness;
mod members;
mod service;
mod status;
mod tenants;
mod warnings;
mod watch;

pub(crate) use service::Service;
