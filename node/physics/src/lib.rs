//! A simulated GPU board: heat, power, clocks, the firmware's own loops, and faults.
//!
//! Pure: time, load and random numbers come in as arguments. No platform mathematics library is used, so a seed gives
//! the same run on every machine.
