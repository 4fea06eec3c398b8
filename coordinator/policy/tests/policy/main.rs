//! The decisions of the cluster, tested through the crate's public door: one file for each module.
#![cfg(test)]

mod apply;
mod fleet;
mod group;
mod heat;
mod judge;
mod plan;
mod relief;
mod replicas_agree;
mod reporting;
mod requirements;
mod route;
mod route_heat;
mod sessions;
mod support;
mod tenants;
