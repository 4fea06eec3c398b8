//! ClusterService: the bootstrap, the cluster's status, nodes that join and watch their part, models.
//!
//! Any coordinator answers; writes go to the leader through the log. Reads are what this coordinator has applied, each
//! part with its age.

mod service;
mod status;
mod watch;

pub(crate) use service::Service;
