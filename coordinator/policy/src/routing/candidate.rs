//! A replica that answers, with all that a gateway needs to call it.

use std::{sync::Arc, time::Duration};

use helixflow_model::{Fence, LoadReport, NodeId, NodeReport, NumericsClass, Region, ReplicaReport};

use super::expect::More;

/// Who is asked first: a rank gets requests only where nobody of a better one can take them, in whatever region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Anything.
    #[default]
    Open,
    /// A board of it is to be drained.
    Spare,
    /// A board of it is at its limit. It sheds to anybody; but a request with nowhere else to go is slow there and not
    /// refused, since the hardware guards itself, and a board that stays at its limit is put in quarantine.
    LastResort,
}

/// What the asking gateway itself has under way at a replica. It knows this of now, where the report is of some time ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Requests.
    pub under_way: u32,
    /// Of these, those whose first token has yet to come.
    pub unanswered: u32,
}

/// A replica that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Replica and generation, to be sent along: the node refuses another.
    pub fence: Fence,
    /// The node that takes its requests.
    pub node: NodeId,
    /// How busy it was.
    pub load: LoadReport,
    /// How old that is, summed over the hops that it took, at the time the table was built.
    pub age: Duration,
    /// Whether others are asked first.
    pub rank: Rank,
    /// How long a request would take there, as far as load, heat and their ages tell.
    pub expected: Duration,
    /// How much longer by what the report does not tell of.
    more: More,
    /// What its node said, shared with whoever else holds it: a table of ten thousand copies no text.
    report: Arc<NodeReport>,
    /// Which replica of the report it is.
    at: usize,
}

/// What a table finds out about a candidate.
#[derive(Clone, Copy)]
pub(super) struct Prospects {
    pub(super) rank: Rank,
    pub(super) age: Duration,
    pub(super) expected: Duration,
    pub(super) more: More,
}

impl Candidate {
    /// The replica at this place of a report; none when there is none.
    pub(super) fn new(report: &Arc<NodeReport>, at: usize, prospects: Prospects) -> Option<Self> {
        let Prospects { rank, age, expected, more } = prospects;
        let ReplicaReport { fence, load, .. } = report.replicas.get(at)?;
        let (fence, load, node) = (*fence, *load, report.node);
        Some(Self { fence, node, load, age, rank, expected, more, report: Arc::clone(report), at })
    }

    /// Where the node stands.
    pub fn region(&self) -> &Region {
        &self.report.region
    }

    /// How the node is reached, `host:port`.
    pub fn advertise(&self) -> &str {
        &self.report.advertise
    }

    /// Replicas of one class give the same bits.
    pub fn numerics(&self) -> Option<&NumericsClass> {
        self.report.replicas.get(self.at).map(|replica| &replica.numerics)
    }

    /// How long a request would take when the asking gateway itself has `own` under way there. Requests that the report
    /// cannot tell of yet are added; its own prompts in any case, since by the report's age others are mostly done.
    pub fn expected_with(&self, own: Own) -> Duration {
        let Self { load, more, .. } = self;
        let told = load.queued.saturating_add(load.active);
        let requests = more.request.saturating_mul(own.under_way.saturating_sub(told));
        let prompts = more.prompt.saturating_mul(own.unanswered);
        let is_full_now = load.sequences > 0 && own.under_way >= load.sequences;
        let place = if is_full_now { more.place } else { more.place_told };
        [requests, prompts, place].into_iter().fold(self.expected, Duration::saturating_add)
    }
}
