//! The checker beside a real register with overlapping clients, beside an exhaustive search, and on planted faults.

mod agreement;
mod cases;
mod planted;
mod register;
mod search;
