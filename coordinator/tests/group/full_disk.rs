//! A full disk is told to writers, reads go on, and writes do once there is room.

use std::sync::Arc;

use helixflow_env::Env;
use helixflow_env::disk::{DiskFaults, MemoryDisk};
use helixflow_proto::error::Reason;
use helixflow_proto::v1::{GetTenantRequest, PutTenantRequest};
use tonic::{Code, Status};

use crate::cluster::{Cluster, eventually};

async fn put(cluster: &Cluster, name: &str) -> Result<(), Status> {
    let request =
        PutTenantRequest { tenant: "acme".to_owned(), display_name: name.to_owned(), ..Default::default() };
    cluster.client(1).put_tenant(request).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let disk = MemoryDisk::default();
    let cluster = Cluster::start_in(Env { disk: Arc::new(disk.clone()), ..Env::real() }, 1).await;
    cluster.client(1).bootstrap(cluster.bootstrap_request()).await.expect("a bootstrap");
    put(&cluster, "before").await.expect("a write");
    disk.set_faults(DiskFaults { full: true, ..DiskFaults::default() });
    let refused = eventually("a refusal", async || put(&cluster, "meanwhile").await.err()).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(Reason::of(&refused).as_deref(), Some("DISK_LOW"), "{refused}");
    let read = GetTenantRequest { tenant: "acme".to_owned(), ..Default::default() };
    cluster.client(1).get_tenant(read).await.expect("a confirmed read");
    disk.set_faults(DiskFaults::default());
    eventually("room", async || put(&cluster, "after").await.ok()).await;
}
