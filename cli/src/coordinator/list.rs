//! `helixflow coordinator list`: a table for people, JSON for scripts. Fields of the JSON are added, never renamed.

use anyhow::Context;
use comfy_table::Table;
use helixflow_proto::v1;
use serde::Serialize;

use crate::endpoint::Target;
use crate::tables::table;
use crate::terminal;

/// The group.
#[derive(Debug, Serialize)]
struct Group {
    /// Null when none is known.
    leader: Option<u64>,
    last_index: u64,
    leader_regions: Vec<String>,
    members: Vec<Member>,
    warnings: Vec<String>,
}

/// One member.
#[derive(Debug, Serialize)]
struct Member {
    id: u64,
    region: String,
    role: String,
    grpc: String,
    raft: String,
    /// Null where no leader tells.
    matched_index: Option<u64>,
    /// Entries of the leader's log that it is not known to hold; null likewise.
    lag: Option<u64>,
    /// Null likewise, and when it never answered.
    heard_age_ms: Option<u64>,
    feature_level: u64,
}

impl From<v1::ListCoordinatorsResponse> for Group {
    fn from(wire: v1::ListCoordinatorsResponse) -> Self {
        let last_index = wire.last_index;
        Self {
            leader: (wire.leader != 0).then_some(wire.leader),
            last_index,
            leader_regions: wire.leader_regions,
            members: wire.members.into_iter().map(|known| member(known, last_index)).collect(),
            warnings: wire.warnings,
        }
    }
}

fn member(wire: v1::GroupMember, last_index: u64) -> Member {
    let v1::CoordinatorMember { id, region, grpc, raft } = wire.member.clone().unwrap_or_default();
    let lag = wire.matched_index.map(|matched| last_index.saturating_sub(matched));
    let v1::GroupMember { role, matched_index, heard_age_ms, feature_level, .. } = wire;
    Member { id, region, role, grpc, raft, matched_index, lag, heard_age_ms, feature_level }
}

pub(crate) fn run(json: bool, target: &Target) -> anyhow::Result<()> {
    let session = target.open()?;
    let group = Group::from(session.wait(session.client.coordinators())?);
    if json {
        return terminal::line(serde_json::to_string_pretty(&group).context("encoding the list")?);
    }
    terminal::line(members(&group))?;
    if !group.leader_regions.is_empty() {
        terminal::line(format_args!(
            "\nthe leader should stand in {}",
            group.leader_regions.join(", or else in ")
        ))?;
    }
    for warning in &group.warnings {
        terminal::line(format_args!("\nwarning: {warning}"))?;
    }
    Ok(())
}

fn members(group: &Group) -> Table {
    let mut table = table(&["coordinator", "region", "role", "lag", "heard", "level", "grpc", "raft"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    for m in &group.members {
        table.add_row([
            format!("coordinator-{}", m.id),
            m.region.clone(),
            m.role.clone(),
            or_dash(m.lag.map(|lag| lag.to_string())),
            or_dash(m.heard_age_ms.map(|age| format!("{:.1} s ago", age as f64 / 1000.0))),
            m.feature_level.to_string(),
            m.grpc.clone(),
            m.raft.clone(),
        ]);
    }
    table
}
