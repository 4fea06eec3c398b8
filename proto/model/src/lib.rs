//! The words of HelixFlow: ids, units and records that every crate shares.
//!
//! Nothing here does IO, reads a clock or draws a number. Replicated state is made of these words, so they hold
//! no floats where replicas must agree: temperatures are milli-degrees, shares are permille.

mod board;
mod clock_reasons;
mod ids;
mod model_spec;
mod placement;
mod reading;
mod report;
mod requirements;
mod sampling;
mod sensed;
mod units;

pub use board::{Band, BoardInfo, BoardLimits, ClockControl, DeviceKind, Duty};
pub use clock_reasons::ClockReasons;
pub use ids::{
    BoardId, ClusterId, CoordinatorId, DeviceFeature, DeviceId, Epoch, FeatureLevel, Generation, Incarnation,
    InvalidName, KeyId, ModelId, NodeId, Region, ReplicaId, RequestId, Sequence, SessionId, StreamId,
    TenantId,
};
pub use model_spec::{Architecture, ModelSource, ModelSpec, NumericsClass};
pub use placement::{Fence, LayerRange, ReplicaAssignment, ReplicaPhase};
pub use reading::{BoardReading, DeviceReading, EccErrors, FaultEvent, Partition, PcieLink, RowRemapping};
pub use report::{BoardReport, BoardStanding, LoadReport, NodeReport, ReplicaReport};
pub use requirements::{BoardTraits, Requirements};
pub use sampling::{
    FinishReason, InvalidSampling, MAX_CHOICES, MAX_LOGPROBS, MAX_STOP_BYTES, MAX_STOP_STRINGS, Sampling,
    TokenId, Usage,
};
pub use sensed::Sensed;
pub use units::{Bytes, MegaHertz, MilliCelsius, MilliWatts, Permille, UnixMillis};
