//! What the Open Inference Protocol tells of server and models, from the routing table.

use helixflow_model::ModelId;
use helixflow_policy::routing::{RoutingTable, Served};
use helixflow_proto::error::{Reason, invalid, status};
use helixflow_proto::inference::model_metadata_response::TensorMetadata;
use helixflow_proto::inference::repository_index_response::ModelIndex;
use helixflow_proto::inference::{
    ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
    RepositoryIndexResponse, ServerMetadataResponse,
};
use tonic::Status;

use super::reply::{LOGPROBS_OUTPUT, TEXT_OUTPUT};

/// Extensions of the protocol that are served whole: parameters of requests. Of the model repository there is the index.
const EXTENSIONS: [&str; 1] = ["parameters"];
/// Inputs of every language model: name, type.
const INPUTS: [(&str, &str); 7] = [
    ("text_input", "BYTES"),
    ("stream", "BOOL"),
    ("sampling_parameters", "BYTES"),
    ("exclude_input_in_output", "BOOL"),
    ("return_finish_reason", "BOOL"),
    ("return_num_input_tokens", "BOOL"),
    ("return_num_output_tokens", "BOOL"),
];
/// Outputs of every language model: name, type.
const OUTPUTS: [(&str, &str); 5] = [
    (TEXT_OUTPUT, "BYTES"),
    (LOGPROBS_OUTPUT, "BYTES"),
    ("finish_reason", "BYTES"),
    ("num_input_tokens", "UINT32"),
    ("num_output_tokens", "UINT32"),
];

pub(super) fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: "helixflow".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

pub(super) fn ready(table: &RoutingTable, request: ModelReadyRequest) -> Result<ModelReadyResponse, Status> {
    let served = find(table, request.name, &request.version)?;
    Ok(ModelReadyResponse { ready: served.iter().any(|version| version.ready > 0) })
}

pub(super) fn model(
    table: &RoutingTable,
    request: ModelMetadataRequest,
) -> Result<ModelMetadataResponse, Status> {
    let served = find(table, request.name.clone(), &request.version)?;
    let tensors =
        |list: &[(&str, &str)]| list.iter().map(|(name, datatype)| tensor(name, datatype)).collect();
    Ok(ModelMetadataResponse {
        name: request.name,
        versions: served.iter().map(|version| version.version.to_owned()).collect(),
        platform: "helixflow".to_owned(),
        inputs: tensors(&INPUTS),
        outputs: tensors(&OUTPUTS),
        ..Default::default()
    })
}

pub(super) fn index(table: &RoutingTable, only_ready: bool) -> RepositoryIndexResponse {
    let entry = |served: Served<'_>| ModelIndex {
        name: served.model.to_string(),
        version: served.version.to_owned(),
        state: if served.ready > 0 { "READY" } else { "UNAVAILABLE" }.to_owned(),
        reason: if served.ready > 0 { String::new() } else { "no replica is ready".to_owned() },
    };
    let models = table.served().filter(|served| !only_ready || served.ready > 0).map(entry).collect();
    RepositoryIndexResponse { models }
}

/// The versions of a model; all of them when none is named.
fn find<'a>(table: &'a RoutingTable, name: String, version: &str) -> Result<Vec<Served<'a>>, Status> {
    let model = ModelId::new(name).map_err(|error| invalid("name", error.to_string()))?;
    let matches =
        |served: &Served<'_>| *served.model == model && (version.is_empty() || served.version == version);
    let found: Vec<_> = table.served().filter(matches).collect();
    if found.is_empty() {
        let at = if version.is_empty() { String::new() } else { format!(" at version {version}") };
        let message = format!("model {model} is not served here{at}: RepositoryIndex lists the models");
        return Err(status(Reason::UnknownModel, message));
    }
    Ok(found)
}

fn tensor(name: &str, datatype: &str) -> TensorMetadata {
    TensorMetadata { name: name.to_owned(), datatype: datatype.to_owned(), shape: vec![1] }
}
