//! Fences and assignments.

use helixflow_model::{Epoch, Fence, Generation, LayerRange, ReplicaAssignment, ReplicaId};

use super::BadMessage;
use crate::v1;

impl From<Fence> for v1::Fence {
    fn from(fence: Fence) -> Self {
        Self { replica: fence.replica.0, generation: fence.generation.0 }
    }
}

impl From<v1::Fence> for Fence {
    fn from(wire: v1::Fence) -> Self {
        Self { replica: ReplicaId(wire.replica), generation: Generation(wire.generation) }
    }
}

/// The part of an assignment that does not depend on the model's file.
impl TryFrom<&v1::Assignment> for ReplicaAssignment {
    type Error = BadMessage;

    fn try_from(wire: &v1::Assignment) -> Result<Self, BadMessage> {
        let model = wire.model.as_ref().ok_or_else(|| BadMessage::missing("model"))?;
        let layers = LayerRange { first: wire.first_layer, end: wire.end_layer };
        if layers.count() == 0 || layers.end > model.layers {
            return Err(BadMessage::new("end_layer", format!("layers {layers:?} of {}", model.layers)));
        }
        Ok(Self {
            fence: wire.fence.ok_or_else(|| BadMessage::missing("fence"))?.into(),
            epoch: Epoch(wire.epoch),
            model: helixflow_model::ModelId::new(model.id.clone())
                .map_err(|e| BadMessage::new("model", e))?,
            version: model.version.clone(),
            layers,
        })
    }
}
