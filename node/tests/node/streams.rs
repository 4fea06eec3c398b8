//! What a gateway reads: a start, tokens with their text, an end; and what frees a sequence before its end.

use std::time::Duration;

use helixflow_model::NodeReport;
use helixflow_proto::v1;
use helixflow_proto::v1::shard_generate_request::Prompt;
use sha2::{Digest, Sha256};
use tonic::{Code, Request};

use crate::model::{CONTEXT, FIRST_BYTE};
use crate::world::{FENCE, World, request};

fn bytes(tokens: &[u32]) -> Vec<u8> {
    tokens.iter().filter_map(|token| u8::try_from(token.checked_sub(FIRST_BYTE)?).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_a_start_tokens_with_their_text_and_an_end() {
    let world = World::ready().await;
    let answer = world.ask(request("abc", 40)).await.expect("an answer");
    let prompt: Vec<u8> = [1, 100, 101, 102].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(answer.start.prompt_hash, Sha256::digest(prompt).to_vec());
    assert_eq!((answer.start.replica, answer.start.generation), (FENCE.replica, FENCE.generation));
    assert_eq!((answer.start.seed, answer.start.stream_id.as_str()), (11, "s-1"));
    assert_eq!((answer.start.model.as_str(), answer.start.model_version.as_str()), ("m", "1"));
    assert!(!answer.start.request_id.is_empty());

    let tokens = answer.tokens(0);
    assert_eq!(tokens.len(), 40);
    assert_eq!(answer.text(0), String::from_utf8_lossy(&bytes(&tokens)));
    let (mut index, mut offset) = (0, 0);
    for chunk in &answer.chunks {
        assert_eq!((chunk.index, chunk.text_offset), (index, offset));
        index += chunk.token_ids.len() as u32;
        offset += chunk.text.len() as u64;
    }
    assert_eq!(answer.ends.len(), 1);
    assert_eq!(answer.ends[0].reason(), v1::FinishReason::Length);
    let usage = v1::Usage { prompt_tokens: 4, cached_tokens: 0, generated_tokens: 40, replayed_tokens: 0 };
    assert_eq!(answer.usage, usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn choices_and_logprobs_come_as_asked() {
    let world = World::ready().await;
    let mut asked = request("abc", 8);
    let sampling = asked.sampling.get_or_insert_default();
    (sampling.n, sampling.logprobs) = (Some(3), Some(2));
    let answer = world.ask(asked).await.expect("an answer");
    for choice in 0..3 {
        assert_eq!(answer.tokens(choice).len(), 8);
    }
    assert_ne!(answer.tokens(0), answer.tokens(1));
    for chunk in &answer.chunks {
        assert_eq!(chunk.logprobs.len(), chunk.token_ids.len());
        for (token, logprobs) in chunk.token_ids.iter().zip(&chunk.logprobs) {
            let chosen = logprobs.chosen.expect("the chosen token");
            assert!(chosen.token_id == *token && chosen.logprob <= 0.0 && logprobs.alternatives.len() == 2);
        }
    }
    assert_eq!(answer.ends.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_string_ends_the_text_before_it() {
    let world = World::ready().await;
    let whole = world.ask(request("abc", 60)).await.expect("an answer").text(0);
    let stop: String = whole.chars().skip(20).take(3).collect();
    let mut asked = request("abc", 60);
    asked.sampling.get_or_insert_default().stop = vec![stop.clone()];
    let answer = world.ask(asked).await.expect("an answer");
    let before = whole.split(&stop).next().unwrap_or_default();
    assert_eq!(answer.text(0), before);
    assert_eq!(
        (answer.ends[0].reason(), answer.ends[0].stop.as_str()),
        (v1::FinishReason::Stop, stop.as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_rendered_by_the_models_own_template() {
    let world = World::ready().await;
    let message =
        |role: &str, content: &str| v1::ChatMessage { role: role.to_owned(), content: content.to_owned() };
    let messages = vec![message("user", "hi")];
    let chat = v1::ShardGenerateRequest {
        prompt: Some(Prompt::Chat(v1::ChatPrompt { messages })),
        ..request("", 8)
    };
    let by_template = world.ask(chat).await.expect("an answer");
    let by_hand = world.ask(request("user: hi\nassistant:", 8)).await.expect("an answer");
    assert_eq!(by_template.start.prompt_hash, by_hand.start.prompt_hash);
    assert_eq!(by_template.tokens(0), by_hand.tokens(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_tokenized_as_it_stands() {
    let world = World::ready().await;
    let request =
        v1::ShardTokenizeRequest { fence: Some(FENCE), text: "a</s>".to_owned(), parse_special: true };
    let ids = world.client().tokenize(request.clone()).await.expect("ids").into_inner().ids;
    assert_eq!(ids, [100, 2]);
    let words = v1::ShardTokenizeRequest { parse_special: false, ..request };
    let ids = world.client().tokenize(words).await.expect("ids").into_inner().ids;
    assert_eq!(ids.len(), 5);
}

fn active(report: &NodeReport) -> u32 {
    report.replicas.iter().map(|replica| replica.load.active + replica.load.queued).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_sequence() {
    let world = World::ready().await;
    let mut stream = world.open(request("abc", CONTEXT - 1000)).await.expect("a stream");
    for _ in 0..3 {
        stream.message().await.expect("a message");
    }
    world.coordinator.report(|report| active(report) == 1).await;
    drop(stream);
    world.coordinator.report(|report| active(report) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_stream_and_frees_its_sequence() {
    let world = World::ready().await;
    let mut asked = Request::new(request("abc", CONTEXT - 1000));
    asked.set_timeout(Duration::from_millis(300));
    // The client keeps the deadline too, and whichever is first ends the stream.
    let ended = match world.client().generate(asked).await {
        Ok(stream) => crate::world::read(stream.into_inner()).await.map(|_| ()),
        Err(status) => Err(status),
    };
    let code = ended.map_err(|status| status.code());
    assert!(matches!(code, Err(Code::DeadlineExceeded | Code::Cancelled)), "{code:?}");
    world.coordinator.report(|report| active(report) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_nobody_back_and_gets_its_whole_answer() {
    let world = World::ready().await;
    let slow = world.open(request("slow", 1500)).await.expect("a stream");
    let quick = world.ask(request("quick", 50)).await.expect("an answer");
    assert_eq!(quick.tokens(0).len(), 50);
    world.coordinator.report(|report| active(report) == 0).await;
    let answer = crate::world::read(slow).await.expect("an answer");
    assert_eq!(answer.tokens(0).len(), 1500);
}
