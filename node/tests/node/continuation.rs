//! A stream goes on where another broke off, with the same tokens and the same text.

use helixflow_proto::error::Reason;
use helixflow_proto::v1;
use tonic::Code;

use crate::world::{World, request};

fn continued(tokens: &[u32], class: &str) -> v1::ShardGenerateRequest {
    v1::ShardGenerateRequest {
        generated: vec![v1::TokenIds { ids: tokens.to_vec() }],
        numerics_class: class.to_owned(),
        ..request("abc", 40)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continued_stream_equals_the_one_that_broke_off() {
    let world = World::ready().await;
    let whole = world.ask(request("abc", 40)).await.expect("an answer");
    for cut in [1, whole.chunks.len() / 2, whole.chunks.len() - 1] {
        let (sent, unsent) = whole.chunks.split_at(cut);
        let seen: Vec<u32> = sent.iter().flat_map(|chunk| chunk.token_ids.clone()).collect();
        let rest = world.ask(continued(&seen, &whole.start.numerics_class)).await.expect("an answer");
        assert_eq!(rest.chunks, unsent, "cut after {cut} messages");
        assert_eq!(rest.ends, whole.ends);
        assert_eq!(rest.usage.generated_tokens, whole.usage.generated_tokens);
        assert_eq!(rest.usage.replayed_tokens, seen.len() as u32);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_class_is_not_continued() {
    let world = World::ready().await;
    let refused = world.ask(continued(&[100], "gpu-9")).await.expect_err("another class");
    assert_eq!((refused.code(), Reason::of(&refused).as_deref()), (Code::DataLoss, Some("CANNOT_RESUME")));
}
