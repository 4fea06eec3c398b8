//! etcd: how a member is started, and the three calls of its v3 API that are needed, by their field numbers in
//! `etcdserverpb/rpc.proto`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tonic::Status;
use tonic::client::Grpc;
use tonic::transport::Channel;

use crate::cluster::Ports;
use crate::load::unary;

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// A member with the defaults: only names and addresses are set.
pub(crate) fn command(program: &Path, folder: &Path, own: &Ports, all: &[Ports]) -> Command {
    let name = |ports: &Ports| format!("m{}", ports.id);
    let url = |address: &str| format!("http://{address}");
    let cluster: Vec<_> = all.iter().map(|p| format!("{}={}", name(p), url(&p.raft))).collect();
    let mut command = Command::new(program);
    command
        .args(["--name", &name(own)])
        .arg("--data-dir")
        .arg(folder.join(own.id.to_string()))
        .args(["--listen-client-urls", &url(&own.grpc), "--advertise-client-urls", &url(&own.grpc)])
        .args(["--listen-peer-urls", &url(&own.raft), "--initial-advertise-peer-urls", &url(&own.raft)])
        .args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
    command
}

/// Its name and version.
pub(crate) fn version(program: &Path) -> Result<String> {
    let printed = String::from_utf8(Command::new(program).arg("--version").output()?.stdout)?;
    let first = printed.lines().next().and_then(|line| line.split(": ").nth(1));
    Ok(format!("etcd {}", first.context("etcd --version tells none")?))
}

/// One write; answered once a majority has it on disk and this member has applied it.
pub(crate) async fn put(grpc: &mut Grpc<Channel>, key: &str, value: &str) -> Result<(), Status> {
    let request = PutRequest { key: key.into(), value: value.into() };
    unary::<_, PutResponse>(grpc, "/etcdserverpb.KV/Put", request).await.map(|_| ())
}

/// Whether the member leads, by its own word.
pub(crate) async fn leads(mut grpc: Grpc<Channel>) -> Result<bool> {
    let status: StatusResponse =
        unary(&mut grpc, "/etcdserverpb.Maintenance/Status", StatusRequest {}).await?;
    Ok(status.leader != 0 && status.header.is_some_and(|header| header.member_id == status.leader))
}
