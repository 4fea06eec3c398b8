//! Tenants and keys through the service: put, compared, read with what the answer is worth.

use helixflow_proto::error::Reason;
use helixflow_proto::v1::{
    Consistency, GetTenantRequest, PutKeyRequest, PutTenantRequest, RemoveKeyRequest, RemoveTenantRequest,
    StatusRequest,
};

use crate::cluster::Cluster;

fn put(name: &str, expected_revision: Option<u64>) -> PutTenantRequest {
    PutTenantRequest {
        tenant: "acme".to_owned(),
        display_name: name.to_owned(),
        expected_revision,
        write: None,
    }
}

fn get(consistency: Consistency) -> GetTenantRequest {
    GetTenantRequest { tenant: "acme".to_owned(), consistency: consistency.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_put_at_one_coordinator_is_read_at_each() {
    let cluster = Cluster::bootstrapped(3).await;
    let first = cluster.client(1).put_tenant(put("Acme", Some(0))).await.expect("a put").into_inner();
    for id in 1..=3 {
        let read = cluster.client(id).get_tenant(get(Consistency::Unspecified)).await.expect("a read");
        let read = read.into_inner();
        let tenant = read.tenant.expect("the tenant");
        assert_eq!((tenant.display_name.as_str(), tenant.revision), ("Acme", first.revision));
        let freshness = read.freshness.expect("its worth");
        assert_eq!((freshness.consistency(), freshness.age_ms), (Consistency::Confirmed, Some(0)));
    }
    let differs = cluster.client(2).put_tenant(put("Other", Some(0))).await.expect_err("a newer revision");
    assert_eq!(Reason::of(&differs).as_deref(), Some("REVISION_DIFFERS"), "{differs}");
    let second = cluster.client(2).put_tenant(put("Other", Some(first.revision))).await.expect("a put");
    assert!(second.into_inner().revision > first.revision);
    let gone = RemoveTenantRequest { tenant: "acme".to_owned(), write: None };
    cluster.client(3).remove_tenant(gone).await.expect("a removal");
    let none = cluster.client(1).get_tenant(get(Consistency::Confirmed)).await.expect("a read");
    assert_eq!(none.into_inner().tenant, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_kept_as_hashes_and_bad_ones_are_refused_by_their_field() {
    let cluster = Cluster::bootstrapped(1).await;
    let mut client = cluster.client(1);
    let key = |sha256: Vec<u8>| PutKeyRequest {
        id: "k".to_owned(),
        tenant: "acme".to_owned(),
        sha256,
        expires_unix_ms: None,
        write: None,
    };
    let nobodys = client.put_key(key(vec![1; 32])).await.expect_err("no tenant yet");
    assert!(nobodys.message().contains("acme is no tenant"), "{nobodys}");
    client.put_tenant(put("Acme", None)).await.expect("a put");
    let short = client.put_key(key(vec![1; 31])).await.expect_err("31 bytes");
    assert!(short.message().contains("sha256: 31 bytes"), "{short}");
    client.put_key(key(vec![1; 32])).await.expect("a key");
    assert_eq!(cluster.running[&1].raft.state().borrow().keys().len(), 1);
    client.remove_key(RemoveKeyRequest { id: "k".to_owned(), write: None }).await.expect("a removal");
    assert!(cluster.running[&1].raft.state().borrow().keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_coordinator_answers_stale_with_its_age_and_confirms_nothing() {
    let mut cluster = Cluster::bootstrapped(3).await;
    cluster.client(1).put_tenant(put("Acme", None)).await.expect("a put");
    cluster.agreed().await;
    cluster.stop(1).await;
    cluster.stop(2).await;
    let mut lone = cluster.client(3);
    let refused = lone.get_tenant(get(Consistency::Confirmed)).await.expect_err("no quorum");
    assert_eq!(Reason::of(&refused).as_deref(), Some("NO_QUORUM"), "{refused}");
    let stale = lone.get_tenant(get(Consistency::Stale)).await.expect("a stale answer").into_inner();
    assert!(stale.tenant.is_some());
    assert!(stale.freshness.is_some_and(|f| f.age_ms.is_some_and(|age| age > 0)), "{:?}", stale.freshness);
    let status = lone.status(StatusRequest::default()).await.expect("a status").into_inner();
    assert_eq!(status.freshness.map(|f| f.consistency()), Some(Consistency::Stale));
    let confirmed = StatusRequest { consistency: Consistency::Confirmed.into() };
    assert_eq!(lone.status(confirmed).await.err().and_then(|e| Reason::of(&e)).as_deref(), Some("NO_QUORUM"));
}
