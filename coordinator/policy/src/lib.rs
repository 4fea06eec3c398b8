//! Pure decisions of the cluster: what is so, what is to be, who answers, who is lost.
//!
//! [`state`] is the replicated state and its `apply`; [`check`] lists what must never be; [`placement`] plans moves;
//! [`failover`] judges nodes by the age of their reports; [`heat`] tells which bands and duties to record; [`routing`]
//! picks a replica for one request. Nothing here does IO, reads a clock or draws a number: indexes, ages and random
//! numbers come in as arguments, so the same arguments give the same decision on every coordinator and in every
//! simulation.

pub mod check;
pub mod failover;
pub mod heat;
pub mod placement;
pub mod routing;
pub mod state;
