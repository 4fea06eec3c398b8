//! The pick: two at random, the better of them; the own region first.
//!
//! Two choices instead of the best of all: gateways see the same reports, and all would send to the same replica
//! until the next report.

use std::time::Duration;

use helixflow_model::{ModelId, NumericsClass, Region, ReplicaId};

use super::{Candidate, NoReplica, RoutingTable, table::Version, wait::with_own};

/// Another region is worth its distance only when the wait here is this many times as long: idle there against a
/// batch of four here. A ratio, so that it holds for quick models and for slow ones.
const SPILL_RATIO: u32 = 4;

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
/// Without a version the newest that has a ready replica answers. `own` tells how many requests of this gateway are
/// under way at a replica. The same arguments give the same pick.
pub fn pick<'a>(
    table: &'a RoutingTable,
    model: &ModelId,
    version: Option<&str>,
    context: &PickContext<'_>,
    own: impl Fn(ReplicaId) -> u32,
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
    let wait = |candidate: &Candidate| with_own(candidate, own(candidate.fence.replica));
    match choose(chosen, context, wait) {
        Some(candidate) => Ok(Pick { candidate, version: &chosen.name }),
        None => Err(why_none(chosen, model, context)),
    }
}

fn choose<'a>(
    version: &'a Version,
    context: &PickContext<'_>,
    wait: impl Fn(&Candidate) -> Duration,
) -> Option<&'a Candidate> {
    let best = |is_near: bool| {
        let suits = |candidate: &Candidate| {
            suits(candidate, context) && (candidate.region == *context.region) == is_near
        };
        better_of_two(&version.ready, context.random, suits, &wait)
    };
    let (near, far) = (best(true), best(false));
    match (near, far) {
        (Some(near), Some(far)) => {
            let spill = wait(far).saturating_mul(SPILL_RATIO) < wait(near);
            Some(if spill { far } else { near })
        }
        (near, far) => near.or(far),
    }
}

fn suits(candidate: &Candidate, context: &PickContext<'_>) -> bool {
    !context.exclude.contains(&candidate.fence.replica)
        && context.numerics.is_none_or(|numerics| candidate.numerics == *numerics)
}

/// Draws two different candidates of those that suit, and gives the one with the shorter wait; the first, which is
/// as likely to be any, when they wait the same.
fn better_of_two(
    candidates: &[Candidate],
    random: u64,
    suits: impl Fn(&Candidate) -> bool,
    wait: impl Fn(&Candidate) -> Duration,
) -> Option<&Candidate> {
    let suiting = || candidates.iter().filter(|candidate| suits(candidate));
    let count = suiting().count();
    let first = below(random >> 32, count);
    let one = suiting().nth(first)?;
    let second = below(random & 0xffff_ffff, count.saturating_sub(1));
    let second = if second >= first { second.saturating_add(1) } else { second };
    let other = suiting().nth(second).unwrap_or(one);
    Some(if wait(other) < wait(one) { other } else { one })
}

/// Maps 32 random bits onto `0..count`, evenly to within one part in 2³² / count.
fn below(bits: u64, count: usize) -> usize {
    let scaled = (u128::from(bits) * count as u128) >> 32;
    usize::try_from(scaled).unwrap_or(0)
}

fn why_none(version: &Version, model: &ModelId, context: &PickContext<'_>) -> NoReplica {
    let model = model.clone();
    let untried = version.ready.iter().any(|candidate| !context.exclude.contains(&candidate.fence.replica));
    match context.numerics {
        Some(numerics) if untried => NoReplica::OtherNumerics { model, numerics: numerics.clone() },
        _ if !version.ready.is_empty() => NoReplica::AllTried { model },
        _ if version.loading > 0 => NoReplica::Loading { model },
        _ if version.draining > 0 => NoReplica::Draining { model },
        _ => NoReplica::NoneReady { model },
    }
}
