//! The decisions of the cluster, tested through the crate's public door: one file for each module.
#![cfg(test)]

mod apply;
mod fleet;
mod group;
mod heat;
mod judge;
mod plan;
mod replicas_agree;
mod route;
mod sessions;
mod support;
mod tenants;
