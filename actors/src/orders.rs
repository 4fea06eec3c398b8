//! Orders as they come over the wire, to the words of `helixflow-control`.

use helixflow_control::{Assignment, Orders};
use helixflow_model::{Epoch, Incarnation};
use helixflow_proto::convert::BadMessage;
use helixflow_proto::v1;

/// Reads a node's part. One assignment that makes no sense refuses the whole: obeying the rest would stop it.
pub(crate) fn read(part: v1::NodePart) -> Result<Orders, BadMessage> {
    let v1::NodePart { epoch, incarnation, assignments } = part;
    let assignments = assignments.into_iter().map(assignment).collect::<Result<_, _>>()?;
    Ok(Orders { incarnation: Incarnation(incarnation), epoch: Epoch(epoch), assignments })
}

fn assignment(wire: v1::Assignment) -> Result<Assignment, BadMessage> {
    let replica = (&wire).try_into()?;
    let spec = wire.model.unwrap_or_default().try_into()?;
    Ok(Assignment { replica, spec })
}
