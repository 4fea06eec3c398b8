//! Which rows run now: continuous batching over one [`crate::compute::Compute`].
//!
//! A [`Scheduler`] is a state machine without threads, clocks or randomness: requests go in,
//! [`Scheduler::admit`] lets them join the batch, [`Scheduler::step`] runs one batch and hands the events out. Requests
//! join and leave at every step.
//!
//! - **Memory is reserved up front.** A sequence is admitted once the pages for its prompt and its largest possible
//!   answer are free; until then it waits. So whatever runs can finish, and no running stream is thrown out or falls
//!   silent for want of memory. The price: a request that asks for far more tokens than it uses holds back others.
//! - **Streams are never silent for long.** Each step first runs one row of every sequence that is generating, then
//!   fills up with a bounded number of prompt rows.
//! - **Order** is first come, first served within a priority; a request that does not fit yet is not overtaken, so
//!   that large ones are not starved.
//! - **Choices** of a request share its prompt: the first computes it, the others start when its full pages can be
//!   found, and compute only the partly filled last page for themselves.

mod admission;
mod event;
mod plan;
mod request;
mod scheduler;
mod sequence;
mod settlement;

pub use event::{Event, Failure, Verdict};
pub use plan::Budget;
pub use request::{Bounds, Refusal, Request, RequestNumber};
pub use scheduler::{Scheduler, StepError, Stepped};
