//! Sessions over the loss of a leader: numbered writes are never lost, never applied twice, never of unknown outcome.

use helixflow_proto::error::Reason;
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{OpenSessionRequest, PutTenantRequest, WriteId};
use tonic::transport::Channel;

use crate::cluster::{Cluster, eventually};

/// Sends one write to each coordinator in turn until one answers, whatever became of the attempts before.
async fn put(clients: &[ClusterServiceClient<Channel>], request: PutTenantRequest) -> u64 {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    eventually("an answer", || async {
        let at = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % clients.len();
        match clients[at].clone().put_tenant(request.clone()).await {
            Ok(put) => Some(put.into_inner().revision),
            Err(error) => {
                let reason = Reason::of(&error);
                let passing = [None, Some("NO_QUORUM"), Some("OUTCOME_UNKNOWN"), Some("DRAINING")];
                assert!(passing.contains(&reason.as_deref()), "{error}");
                None
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_builds_on_the_one_before_also_while_leaders_are_lost() {
    let mut cluster = Cluster::bootstrapped(3).await;
    let opened = cluster.client(1).open_session(OpenSessionRequest {}).await.expect("a session");
    let session = opened.into_inner().session;
    let clients: Vec<_> = (1..=3).map(|id| cluster.client(id)).collect();
    let writer = tokio::spawn(async move {
        let mut revision = 0;
        // Compare-and-set tells a write that was lost, and one that was applied twice.
        for sequence in 1..=300 {
            let request = PutTenantRequest {
                tenant: "acme".to_owned(),
                display_name: sequence.to_string(),
                expected_revision: Some(revision),
                write: Some(WriteId { session, sequence }),
            };
            revision = put(&clients, request).await;
        }
        revision
    });
    for _ in 0..2 {
        let leader = cluster.leader().await;
        cluster.stop(leader).await;
        cluster.start_one(leader).await;
    }
    let revision = writer.await.expect("every write");
    cluster.agreed().await;
    let state = cluster.running[&1].raft.state().borrow().clone();
    let tenants: Vec<_> = state.tenants().values().cloned().collect();
    assert_eq!((tenants[0].display_name.as_str(), tenants[0].revision.0), ("300", revision));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_sent_twice_gets_one_answer_and_one_of_a_strange_session_is_refused() {
    let cluster = Cluster::bootstrapped(3).await;
    let session =
        cluster.client(1).open_session(OpenSessionRequest {}).await.expect("a session").into_inner().session;
    let put = |session, sequence| PutTenantRequest {
        tenant: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        expected_revision: None,
        write: Some(WriteId { session, sequence }),
    };
    let first = cluster.client(1).put_tenant(put(session, 1)).await.expect("a put").into_inner();
    for id in 1..=3 {
        let again = cluster.client(id).put_tenant(put(session, 1)).await.expect("the same").into_inner();
        assert_eq!(again, first);
    }
    let mut client = cluster.client(2);
    let strange = client.put_tenant(put(session + 1000, 1)).await.expect_err("nobody's session");
    assert_eq!(Reason::of(&strange).as_deref(), Some("SESSION_EXPIRED"), "{strange}");
    let unnumbered = client.put_tenant(put(session, 0)).await.expect_err("no number");
    assert!(unnumbered.message().contains("a sequence from 1"), "{unnumbered}");
}
