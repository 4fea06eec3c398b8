//! The world outside: wall clock, randomness, network, disk and threads, real and simulated.
