//! What a simulated board promises, through its public door.

#![cfg(test)]

mod faults;
mod firmware;
mod heat;
mod reading;
mod reference;
mod world;
