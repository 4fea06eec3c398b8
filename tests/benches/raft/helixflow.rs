//! Our side: how a coordinator is started, how the group is made, and the write that is measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use helixflow_proto::v1::{
    BootstrapRequest, BootstrapResponse, PutTenantRequest, PutTenantResponse, StatusRequest, StatusResponse,
};
use tonic::Status;
use tonic::client::Grpc;
use tonic::transport::Channel;

use crate::cluster::Ports;
use crate::load::unary;

/// Where all of them stand.
const REGION: &str = "eu-1";

/// A coordinator with the defaults: only names and addresses are set.
pub(crate) fn command(program: &Path, folder: &Path, own: &Ports) -> Result<Command> {
    let config = folder.join(format!("{}.toml", own.id));
    let text = format!(
        "cluster = \"bench\"\nid = {}\nregion = {REGION:?}\ndata_dir = {:?}\n\
         grpc = {{ listen = {:?} }}\nraft = {{ listen = {:?} }}\nhttp = {{ listen = {:?} }}\n",
        own.id,
        folder.join(own.id.to_string()),
        own.grpc,
        own.raft,
        own.http,
    );
    std::fs::write(&config, text).context("a configuration")?;
    let mut command = Command::new(program);
    command.args(["coordinator", "run", "--config"]).arg(config);
    Ok(command)
}

pub(crate) fn members(ports: &[Ports]) -> BootstrapRequest {
    BootstrapRequest { raft: ports.iter().map(|own| own.raft.clone()).collect() }
}

/// Makes the group; the same bootstrap again does no harm.
pub(crate) async fn bootstrap(mut grpc: Grpc<Channel>, members: &BootstrapRequest) -> Result<()> {
    let call = "/helixflow.v1.ClusterService/Bootstrap";
    unary::<_, BootstrapResponse>(&mut grpc, call, members.clone()).await?;
    Ok(())
}

/// One write; answered once a majority has it on disk and the leader has applied it.
pub(crate) async fn put(grpc: &mut Grpc<Channel>, key: &str, value: &str) -> Result<(), Status> {
    let request =
        PutTenantRequest { tenant: key.to_owned(), display_name: value.to_owned(), ..Default::default() };
    let call = "/helixflow.v1.ClusterService/PutTenant";
    unary::<_, PutTenantResponse>(grpc, call, request).await.map(|_| ())
}

/// Whether the coordinator leads, by its own word.
pub(crate) async fn leads(mut grpc: Grpc<Channel>) -> Result<bool> {
    let call = "/helixflow.v1.ClusterService/Status";
    let status: StatusResponse = unary(&mut grpc, call, StatusRequest::default()).await?;
    Ok(status.leader == status.coordinator)
}
