//! The heat study: policies beside each other in a simulated fleet, on the same requests.

pub mod scenarios;
