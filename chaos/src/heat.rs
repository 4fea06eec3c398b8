//! The heat study: policies beside each other in a simulated fleet, on the same requests.
//!
//! ```text
//! scenarios     the days that are simulated, from `chaos/scenarios`
//! plan          sizes, hours and seeds
//! study         runs all, judges
//!  ├─ trials      chooses the static caps
//!  ├─ work        runs on threads
//!  ├─ figure      what is compared
//!  ├─ statistics  means, intervals, paired differences
//!  └─ findings    figures, differences, bars and goals
//! report        tables and plots for people, `heat.json` for scripts
//! ```
//!
//! What decides in a simulated fleet is pure and lies in `helixflow-simulator`, `helixflow-control` and
//! `helixflow-policy`; here are threads, files and words.

mod figure;
mod findings;
mod machine;
mod plan;
mod report;
pub mod scenarios;
mod statistics;
mod study;
mod trials;
mod work;

pub use figure::Figure;
pub use findings::{Beside, Check, PartFindings, PolicyFindings};
pub use machine::Machine;
pub use plan::Scale;
pub use report::{ReportError, make_folders, write};
pub use statistics::Interval;
pub use study::{Options, ScenarioFindings, Study, StudyError, study};
pub use trials::Trial;
