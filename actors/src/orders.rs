//! Orders as they come over the wire, to the words of `helixflow-control`, and the coordinators that come with them.

use helixflow_control::{Assignment, Orders};
use helixflow_model::{Epoch, Incarnation};
use helixflow_proto::convert::BadMessage;
use helixflow_proto::v1;

use crate::channel;

/// A node's part: what to run, and whom to report to.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) orders: Orders,
    /// `host:port` of every coordinator that can be reached; empty where the sender does not tell them.
    pub(crate) coordinators: Vec<String>,
}

/// Reads a node's part. One assignment that makes no sense refuses the whole: obeying the rest would stop it.
pub(crate) fn read(part: v1::NodePart) -> Result<Part, BadMessage> {
    let v1::NodePart { epoch, incarnation, assignments, coordinators } = part;
    let assignments = assignments.into_iter().map(assignment).collect::<Result<_, _>>()?;
    let orders = Orders { incarnation: Incarnation(incarnation), epoch: Epoch(epoch), assignments };
    let coordinators = coordinators.into_iter().filter(|address| is_usable(address)).collect();
    Ok(Part { orders, coordinators })
}

/// An address that nobody can connect to costs its own link alone.
fn is_usable(address: &str) -> bool {
    channel::check(address)
        .inspect_err(
            |error| tracing::warn!(%error, "one coordinator gets no reports; correct its grpc.advertise"),
        )
        .is_ok()
}

fn assignment(wire: v1::Assignment) -> Result<Assignment, BadMessage> {
    let replica = (&wire).try_into()?;
    let spec = wire.model.unwrap_or_default().try_into()?;
    Ok(Assignment { replica, spec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_left_out() {
        let coordinators = ["c-1:7100", "no address", "", "c-2:7100"].map(str::to_owned).to_vec();
        let part = v1::NodePart { coordinators, ..v1::NodePart::default() };
        assert_eq!(
            read(part).map(|part| part.coordinators).ok().unwrap_or_default(),
            ["c-1:7100", "c-2:7100"]
        );
    }
}
