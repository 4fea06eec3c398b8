//! A simulated fleet of GPU boards under load, run by the same pure code that runs in production.

mod curve;
mod scenario;

pub use curve::Curve;
pub use scenario::{
    FanFailure, Inlet, Lengths, Load, Peak, ProductName, Requests, Scenario, Unsound, Warmer,
};
