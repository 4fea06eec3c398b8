//! A simulated fleet of GPU boards under load, run by the same pure code that runs in production.

mod arrivals;
mod bound;
mod curve;
mod engine;
mod fleet;
mod histogram;
mod outcome;
mod policy;
mod random;
mod room;
mod scenario;
mod serving;
mod steady;

pub use arrivals::{Arrival, Arrivals};
pub use bound::lowest_serving_rise;
pub use curve::Curve;
pub use engine::{Activity, Done, Engine, EngineSpec, Request, StepTime};
pub use fleet::{Cap, FleetError, Setting, Span, run};
pub use histogram::Histogram;
pub use outcome::{Counts, Held, Outcome, Quarter};
pub use policy::Policy;
pub use scenario::{
    FanFailure, Inlet, Lengths, Load, Peak, ProductName, Requests, Scenario, Unsound, Warmer,
};
pub use serving::{Objective, Serving};
