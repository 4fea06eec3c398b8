//! A simulated GPU board: heat, power, clocks, the firmware's own loops, and faults.
//!
//! Pure: time, load and seeds come in as arguments. Nothing but additions, multiplications, divisions and comparisons
//! is computed, so a seed gives the same run on every machine. Cheap: a fleet is simulated for days, second by second.
//!
//! [`Board::step`] lets time pass under some [`Work`]; [`Board::reading`] is what a driver would tell, with its
//! rounding, its noise and its faults; [`Board::truth`] is what no driver knows.
//!
//! Left out: voltage regulators and links apart from a constant, differences across the die, air that one board heats
//! for the next (the caller sets the inlet), and the memory's contents: a node adds its devices to the reading.

mod board;
mod electrical;
mod faults;
mod firmware;
mod parameters;
mod passed;
mod products;
mod sensors;
mod surroundings;
mod thermal;

pub use board::Board;
pub use faults::{Fault, UnknownFault};
pub use parameters::{Clocks, Cooling, Node, Parameters, Power, Temperatures, Thermal, Vendor};
pub use passed::{Passed, Truth};
pub use products::{A100_SXM, H100_SXM, L4, MI300X, PRODUCTS};
pub use sensors::Unreadable;
pub use surroundings::{Surroundings, Work};
