//! The words of HelixFlow: ids, units and records that every crate shares.
//!
//! Nothing here does IO, reads a clock or draws a number. Replicated state is made of these words, so they hold
//! no floats where replicas must agree: temperatures are milli-degrees, shares are permille.

mod ids;
mod model_spec;
mod placement;
mod report;
mod sampling;
mod units;

pub use ids::{
    ClusterId, CoordinatorId, Epoch, FeatureLevel, Generation, Incarnation, InvalidName, KeyId, ModelId,
    NodeId, Region, ReplicaId, RequestId, Sequence, SessionId, StreamId, TenantId,
};
pub use model_spec::{Architecture, ModelSource, ModelSpec, NumericsClass};
pub use placement::{Fence, LayerRange, ReplicaAssignment, ReplicaPhase};
pub use report::{BoardReport, DeviceKind, LoadReport, NodeReport, ReplicaReport};
pub use sampling::{
    FinishReason, InvalidSampling, MAX_CHOICES, MAX_LOGPROBS, MAX_STOP_BYTES, MAX_STOP_STRINGS, Sampling,
    TokenId, Usage,
};
pub use units::{Bytes, MilliCelsius, MilliWatts, Permille, UnixMillis};
