//! Why no replica could be picked: a gateway turns each into a status and a reason of its own.

use helixflow_model::{ModelId, NumericsClass};

/// Why nobody can answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReplica {
    /// The cluster does not serve it (`NOT_FOUND`).
    #[error("model {model} is not served here: `helixflow status` lists the models")]
    UnknownModel {
        /// The model asked for.
        model: ModelId,
    },
    /// The cluster serves other versions of it (`NOT_FOUND`).
    #[error("model {model} is not served at version {version}: leave the version out for the newest")]
    UnknownVersion {
        /// The model asked for.
        model: ModelId,
        /// The version asked for.
        version: String,
    },
    /// Replicas are on their way (`UNAVAILABLE`, `MODEL_LOADING`).
    #[error("model {model} is still loading: try again in a moment")]
    Loading {
        /// The model asked for.
        model: ModelId,
    },
    /// Its replicas finish what they have (`UNAVAILABLE`, `DRAINING`).
    #[error("model {model} is being drained: try again later")]
    Draining {
        /// The model asked for.
        model: ModelId,
    },
    /// Boards of its replicas are in quarantine (`UNAVAILABLE`, `NO_REPLICA`).
    #[error(
        "every replica of model {model} runs on a board in quarantine: `helixflow status` shows the boards"
    )]
    Resting {
        /// The model asked for.
        model: ModelId,
    },
    /// No replica is there, or all have failed (`UNAVAILABLE`, `NO_REPLICA`).
    #[error("model {model} has no replica that answers: `helixflow status` says why")]
    NoneReady {
        /// The model asked for.
        model: ModelId,
    },
    /// All that are ready were tried already (`UNAVAILABLE`, `NO_REPLICA`).
    #[error("every ready replica of model {model} was tried: try again in a moment")]
    AllTried {
        /// The model asked for.
        model: ModelId,
    },
    /// None that is ready gives the same bits (`UNAVAILABLE`, `NO_REPLICA`).
    #[error("no other ready replica of model {model} computes as {numerics}: start the request anew")]
    OtherNumerics {
        /// The model asked for.
        model: ModelId,
        /// The class that was required.
        numerics: NumericsClass,
    },
}
