//! A node's part of the state: at once, and after every change of it.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use helixflow_model::{NodeId, ReplicaAssignment};
use helixflow_policy::failover::listeners;
use helixflow_policy::state::{ClusterState, ModelKey};
use helixflow_proto::v1::{Assignment, NodePart};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// The node's part, again whenever it differs from the one sent before.
pub(super) fn parts(
    state: watch::Receiver<Arc<ClusterState>>,
    node: NodeId,
) -> impl Stream<Item = NodePart> + Send {
    let mut sent: Option<NodePart> = None;
    WatchStream::new(state).filter_map(move |state| {
        let part = part(&state, node);
        let news = sent.as_ref().is_none_or(|sent| differs(sent, &part));
        if news {
            sent = Some(part.clone());
        }
        std::future::ready(news.then_some(part))
    })
}

/// Whether a node would do anything else: epochs alone rise with every entry of the log.
fn differs(sent: &NodePart, now: &NodePart) -> bool {
    let essence = |part: &NodePart| {
        let strip = |a: &Assignment| Assignment { epoch: 0, ..a.clone() };
        (part.incarnation, part.assignments.iter().map(strip).collect::<Vec<_>>(), part.coordinators.clone())
    };
    essence(sent) != essence(now)
}

/// Everything that a node is to run and where it reports, as a state says.
fn part(state: &ClusterState, node: NodeId) -> NodePart {
    NodePart {
        epoch: state.epoch().0,
        incarnation: state.identity().map_or(0, |identity| identity.incarnation.0),
        assignments: state
            .assignments(node)
            .into_iter()
            .filter_map(|assignment| wire(state, assignment))
            .collect(),
        coordinators: coordinators(state, node),
    }
}

/// Where the node reports.
fn coordinators(state: &ClusterState, node: NodeId) -> Vec<String> {
    let region = state.nodes().get(&node).map(|known| &known.region);
    region.into_iter().flat_map(|region| listeners(state, region)).map(|known| known.grpc.clone()).collect()
}

/// An assignment with its model's whole description; a replica of a model that is gone is not one.
fn wire(state: &ClusterState, assignment: ReplicaAssignment) -> Option<Assignment> {
    let ReplicaAssignment { fence, epoch, model, version, layers } = assignment;
    let spec = state.models().get(&ModelKey { id: model, version })?;
    Some(Assignment {
        fence: Some(fence.into()),
        epoch: epoch.0,
        model: Some(spec.clone().into()),
        first_layer: layers.first,
        end_layer: layers.end,
    })
}
