//! The decisions of the cluster, tested through the crate's public door: one file for each module.
#![cfg(test)]

mod apply;
mod group;
mod judge;
mod plan;
mod replicas_agree;
mod route;
mod sessions;
mod support;
mod tenants;
