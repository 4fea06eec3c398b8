//! A simulated fleet of GPU boards under load, run by the same pure code that runs in production.

mod arrivals;
mod curve;
mod engine;
mod random;
mod scenario;
mod serving;

pub use arrivals::{Arrival, Arrivals};
pub use curve::Curve;
pub use engine::{Activity, Done, Engine, EngineSpec, Request, StepTime};
pub use scenario::{
    FanFailure, Inlet, Lengths, Load, Peak, ProductName, Requests, Scenario, Unsound, Warmer,
};
pub use serving::{Objective, Serving};
