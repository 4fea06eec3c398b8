//! The bounds of the replicated state, so that a snapshot stays small and apply stays quick.

/// Most coordinators, voters and observers together: a handful a region.
pub const MAX_COORDINATORS: usize = 64;
/// Most regions in the order of preference for the leader.
pub const MAX_LEADER_REGIONS: usize = 16;
/// Most nodes that ever joined: at about 320 bytes each, five megabytes of snapshot. Telemetry is measured at ten thousand.
pub const MAX_NODES: usize = 16_384;
/// Most nodes while a member's build knows no more: what one applies and another refuses would part them.
pub(super) const MAX_NODES_BEFORE_LEVEL_3: usize = 4096;
/// Most models, each version counted.
pub const MAX_MODELS: usize = 1024;
/// Most replicas, of all models together: four for each node.
pub const MAX_REPLICAS: usize = 65_536;
/// Most replicas while a member's build knows no more.
pub(super) const MAX_REPLICAS_BEFORE_LEVEL_3: usize = 16_384;
/// Most nodes that one replica is split over.
pub const MAX_PARTS: usize = 64;
/// Most layers of a model; the deepest published ones have under 200.
pub const MAX_LAYERS: u32 = 1024;
/// Most moves in one plan: it keeps a log entry under a megabyte, and what is left comes with the next plan.
pub const MAX_MOVES: usize = 1024;
/// Longest address, in bytes: a DNS name of 253, a colon and a port.
pub const MAX_ADDRESS_BYTES: usize = 259;
/// Longest version of a model, in bytes.
pub const MAX_VERSION_BYTES: usize = 128;
/// Most sources of a model.
pub const MAX_SOURCES: usize = 16;
/// Longest text in a source (a path, a repository, a file), in bytes: Linux's `PATH_MAX`.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// Most tenants: with their names, two megabytes of snapshot.
pub const MAX_TENANTS: usize = 4096;
/// Longest name of a tenant for people, in bytes.
pub const MAX_DISPLAY_NAME_BYTES: usize = 256;
/// Most API keys, of all tenants together: four for each tenant.
pub const MAX_KEYS: usize = 16_384;
/// Most kinds of boards in one node: machines are built with one or two.
pub const MAX_BOARD_KINDS: usize = 16;
/// Most features of a board, or that a model asks for.
pub const MAX_FEATURES: usize = 32;
/// Most nodes in one record of bands and duties: at some ten bytes each, an entry of a kilobyte. What is left comes a
/// second later.
pub const MAX_HEAT_CHANGES: usize = 128;
/// Most regions ever judged: more than any provider has.
pub const MAX_REGIONS: usize = 256;
/// Most sessions of writers: one for each process that writes, and many for benchmarks.
pub const MAX_SESSIONS: usize = 4096;
