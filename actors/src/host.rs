//! What the actors ask of the machine that they run on: to fetch, load, check and drain a replica part.

use std::error::Error;
use std::fmt;

use helixflow_control::{Assignment, Cure};
use helixflow_model::{BoardId, LoadReport, NumericsClass};
use tokio::sync::watch;

/// Brings replica parts to life. Every future may be dropped at any await: that ends the work.
pub trait Host: Send + Sync + 'static {
    /// Weights on the disk, checked.
    type Weights: Send + 'static;
    /// A part that serves.
    type Replica: Replica;

    /// Makes sure that the weights are here.
    fn fetch(
        &self,
        assignment: &Assignment,
        notes: &Notes,
    ) -> impl Future<Output = Result<Self::Weights, Fault>> + Send;

    /// Reads the weights into memory and tries them: what comes back has generated.
    fn load(
        &self,
        assignment: &Assignment,
        weights: Self::Weights,
        notes: &Notes,
    ) -> impl Future<Output = Result<Self::Replica, Fault>> + Send;
}

/// A part that serves. Dropping it ends what it still runs.
pub trait Replica: Send + Sync + 'static {
    /// Replicas of one class give the same bits.
    fn numerics(&self) -> NumericsClass;

    /// How busy it is.
    fn load(&self) -> LoadReport;

    /// The boards that it computes on; none named means all of the node's.
    fn boards(&self) -> Vec<BoardId> {
        Vec::new()
    }

    /// Changes with each request that comes.
    fn asked(&self) -> watch::Receiver<()>;

    /// How much it has computed: rises with every batch, canaries included. Costs little, for it is asked ten times a
    /// second.
    fn progress(&self) -> u64;

    /// Whether it still makes progress; called about once a second, so it must cost little when all is well.
    fn check(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Returns once nothing runs any more. The caller stops sending new work first, and bounds the wait.
    fn drained(&self) -> impl Future<Output = ()> + Send;
}

/// Why a part cannot be brought to life, or has lost it.
#[derive(Debug)]
pub struct Fault {
    cause: Box<dyn Error + Send + Sync>,
    cure: Cure,
}

impl Fault {
    /// A fault that trying again may mend.
    pub fn passing(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), cure: Cure::Retry }
    }

    /// A fault in what was asked for: trying again cannot mend it.
    pub fn lasting(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), cure: Cure::None }
    }

    /// Whether trying again may help.
    pub const fn cure(&self) -> Cure {
        self.cure
    }
}

impl fmt::Display for Fault {
    /// The whole chain of causes: this text is all that reaches whoever reads the report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut cause = self.cause.source();
        while let Some(deeper) = cause {
            write!(f, ": {deeper}")?;
            cause = deeper.source();
        }
        Ok(())
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Where a part says what it is doing, in words for a report; the latest wins.
#[derive(Clone, Debug, Default)]
pub struct Notes(watch::Sender<String>);

impl Notes {
    /// Replaces what was said before.
    pub fn say(&self, words: impl Into<String>) {
        self.0.send_replace(words.into());
    }

    /// What was said last.
    pub fn latest(&self) -> String {
        self.0.borrow().clone()
    }
}
