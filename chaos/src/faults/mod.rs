//! What is done to a cluster, each fault checked to strike the one that was meant.

mod kill;

pub(crate) use kill::identify;
pub use kill::kill;
