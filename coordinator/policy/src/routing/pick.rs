//! The pick: a few at random, the best of them; the own region first, and a better rank before any distance.
//!
//! A few choices instead of the best of all: gateways see the same reports, and all would send to the same replica
//! until the next report (Mitzenmacher, "How useful is old information?", 2000).

use std::time::Duration;

use helixflow_model::{ModelId, NumericsClass, Region, ReplicaId};

use super::{
    Candidate, NoReplica, Own, RoutingTable,
    pool::{Draws, Pool},
    table::Version,
};

/// Another region is worth its distance only when a request here would take this many times as long: idle there against
/// a queue of three batches here. A ratio, so that it holds for quick models and for slow ones.
const SPILL_RATIO: u32 = 4;
/// Candidates that are compared. Simulated over 32 replicas, alike and unlike, three were done sooner than two wherever
/// one gateway picks, and four did worse than three where several pick by reports a second old.
const CHOICES: usize = 3;

/// What a request asks of its replica.
#[derive(Clone, Copy, Debug)]
pub struct PickContext<'a> {
    /// Where the gateway stands.
    pub region: &'a Region,
    /// Replicas that were tried already.
    pub exclude: &'a [ReplicaId],
    /// The class that a continued stream began with.
    pub numerics: Option<&'a NumericsClass>,
    /// A random number, drawn for this pick.
    pub random: u64,
}

/// The replica picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick<'a> {
    /// Whom to call.
    pub candidate: &'a Candidate,
    /// The version that answers.
    pub version: &'a str,
}

/// Picks a replica for one request.
///
/// Without a version the newest that has a ready replica answers. `own` tells what this gateway has under way at a
/// replica. The same arguments give the same pick.
pub fn pick<'a>(
    table: &'a RoutingTable,
    model: &ModelId,
    version: Option<&str>,
    context: &PickContext<'_>,
    own: impl Fn(ReplicaId) -> Own,
) -> Result<Pick<'a>, NoReplica> {
    let unknown = || NoReplica::UnknownModel { model: model.clone() };
    let versions = table.versions(model).ok_or_else(unknown)?;
    let chosen = match version {
        Some(name) => versions
            .iter()
            .find(|version| version.name == name)
            .ok_or_else(|| NoReplica::UnknownVersion { model: model.clone(), version: name.to_owned() })?,
        None => {
            let ready = versions.iter().find(|version| !version.ready.is_empty());
            ready.or(versions.first()).ok_or_else(unknown)?
        }
    };
    let expected = |candidate: &Candidate| candidate.expected_with(own(candidate.fence.replica));
    match choose(chosen, context, expected) {
        Some(candidate) => Ok(Pick { candidate, version: &chosen.name }),
        None => Err(why_none(chosen, model, context)),
    }
}

fn choose<'a>(
    version: &'a Version,
    context: &PickContext<'_>,
    expected: impl Fn(&Candidate) -> Duration,
) -> Option<&'a Candidate> {
    let mut draws = Draws::from(context.random);
    version.ranks.iter().find_map(|rank| {
        let (near, far) = rank.split(context.region);
        let mut best = |pool: &Pool| best_of_few(&version.ready, pool, &mut draws, context, &expected);
        match (best(&near), best(&far)) {
            (Some(near), Some(far)) => {
                let spill = far.expected.saturating_mul(SPILL_RATIO) < near.expected;
                Some(if spill { far.candidate } else { near.candidate })
            }
            (near, far) => near.or(far).map(|drawn| drawn.candidate),
        }
    })
}

fn suits(candidate: &Candidate, context: &PickContext<'_>) -> bool {
    !context.exclude.contains(&candidate.fence.replica)
        && context.numerics.is_none_or(|numerics| candidate.numerics() == Some(numerics))
}

/// A candidate that was drawn.
struct Drawn<'a> {
    place: usize,
    candidate: &'a Candidate,
    expected: Duration,
}

/// Draws some of those that suit, and gives the one that would be done soonest; the first, which is as likely to be any,
/// when all would take the same.
fn best_of_few<'a>(
    candidates: &'a [Candidate],
    pool: &Pool,
    draws: &mut Draws,
    context: &PickContext<'_>,
    expected: impl Fn(&Candidate) -> Duration,
) -> Option<Drawn<'a>> {
    let mut best: Option<Drawn<'a>> = None;
    for _ in 0..CHOICES {
        // A second look at the best so far would be none.
        let not_this = best.as_ref().map(|best| best.place);
        let suiting = |place: usize| {
            Some(place) != not_this
                && candidates.get(place).is_some_and(|candidate| suits(candidate, context))
        };
        let Some(place) = pool.draw(draws, suiting) else { break };
        let Some(candidate) = candidates.get(place) else { break };
        let drawn = Drawn { place, candidate, expected: expected(candidate) };
        if best.as_ref().is_none_or(|best| drawn.expected < best.expected) {
            best = Some(drawn);
        }
    }
    best
}

fn why_none(version: &Version, model: &ModelId, context: &PickContext<'_>) -> NoReplica {
    let model = model.clone();
    let untried = version.ready.iter().any(|candidate| !context.exclude.contains(&candidate.fence.replica));
    match context.numerics {
        Some(numerics) if untried => NoReplica::OtherNumerics { model, numerics: numerics.clone() },
        _ if !version.ready.is_empty() => NoReplica::AllTried { model },
        _ if version.loading > 0 => NoReplica::Loading { model },
        _ if version.resting > 0 => NoReplica::Resting { model },
        _ if version.draining > 0 => NoReplica::Draining { model },
        _ => NoReplica::NoneReady { model },
    }
}
