//! KV accounting: which pages hold whose keys and values. Pure; the bytes themselves live below [`crate::compute`].
//!
//! A [`Pool`] holds a fixed number of pages. A sequence reserves, when it is admitted, every page that it can ever
//! need, so that a running stream never waits for memory and never has to be thrown out. Pages are counted by
//! reference: full pages of equal tokens after equal tokens are shared between sequences of one [`CacheSalt`], and
//! stay findable after their last user has gone, until their memory is wanted.
//!
//! Left out: copying pages. The last, partly filled page of a shared prefix is computed again by each sequence.

mod pool;
mod prefix;

pub use pool::{Pool, Table};
pub use prefix::CacheSalt;
