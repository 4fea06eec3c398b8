//! A simulated fleet of GPU boards under load, run by the same pure code that runs in production.
