//! Fetching from a hub over HTTP: ranges, cuts, stalls, redirects, wrong bytes.

use std::time::Duration;

use helixflow_node::weights::FetchError;

use crate::hub_server::{Act, HubServer};
use crate::world::{World, only_failure};

/// A world whose hub does these acts.
async fn world_with(acts: &[Act]) -> (World, HubServer) {
    let mut world = World::new();
    let server = HubServer::start(&world.weights, acts).await;
    server.becomes_hub_of(&mut world.settings);
    (world, server)
}

#[tokio::test]
async fn a_file_comes_from_the_hub_by_its_commit() {
    let (world, server) = world_with(&[Act::Serve]).await;
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.paths(), ["/owner/name/resolve/0123abc/folder/tiny.gguf"]);
}

#[tokio::test]
async fn a_cut_download_goes_on_with_the_missing_bytes_only() {
    let (world, server) = world_with(&[Act::CutAfter(1_234_567), Act::CutAfter(500_000), Act::Serve]).await;
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [None, Some(1_234_567), Some(1_734_567)]);
}

#[tokio::test]
async fn an_answer_that_ends_early_goes_on_too() {
    let (world, server) = world_with(&[Act::EndAfter(2_000_000), Act::Serve]).await;
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [None, Some(2_000_000)]);
}

#[tokio::test]
async fn the_next_fetch_goes_on_where_a_failed_one_ended() {
    let (world, server) = world_with(&[Act::CutAfter(700_000), Act::Status(503)]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(error, FetchError::Refused { .. }), "{error:?}");
    assert_eq!(server.ranges(), [None, Some(700_000), Some(700_000)]);

    let server = HubServer::start(&world.weights, &[Act::Serve]).await;
    let mut world = world;
    server.becomes_hub_of(&mut world.settings);
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [Some(700_000)]);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_gives_the_whole_file_again() {
    let (world, server) = world_with(&[Act::CutAfter(1_000), Act::IgnoreRange]).await;
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [None, Some(1_000)]);
}

#[tokio::test]
async fn a_refused_or_misread_range_asks_for_the_whole_file() {
    for act in [Act::Status(416), Act::OtherRange] {
        let (world, server) = world_with(&[Act::CutAfter(1_000), act, Act::Serve]).await;
        world.assert_fetched(world.fetch_from_hub().await);
        assert_eq!(server.ranges(), [None, Some(1_000), None]);
    }
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_gone_on_with() {
    let (mut world, server) = world_with(&[Act::StallAfter(1_000_000), Act::Serve]).await;
    world.settings.patience.silence = Duration::from_secs(1);
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [None, Some(1_000_000)]);
}

#[tokio::test]
async fn retries_end_and_the_part_is_kept_for_the_next_time() {
    let (world, server) = world_with(&[Act::CutAfter(1_000)]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(error, FetchError::Interrupted { have: 3_000, size: 3_000_000, .. }), "{error:?}");
    assert!(error.to_string().contains("start again, it goes on"), "{error}");
    assert_eq!(server.ranges(), [None, Some(1_000), Some(2_000)]);
    assert_eq!(std::fs::metadata(world.place("part")).expect("the part").len(), 3_000);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_removed() {
    let (world, server) = world_with(&[Act::WrongBytes]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(
        matches!(&error, FetchError::WrongHash { expected, .. } if *expected == world.sha256()),
        "{error:?}"
    );
    assert!(error.to_string().contains("correct the catalogue"), "{error}");
    assert!(world.leftovers().is_empty() && !world.place("gguf").exists());
    assert_eq!(server.ranges(), [None]);
}

#[tokio::test]
async fn a_part_of_another_file_is_thrown_away_and_the_file_fetched_whole() {
    let (world, server) = world_with(&[Act::Serve]).await;
    world.write(&world.place("part"), &[7; 2_000]);
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [Some(2_000), None]);
}

#[tokio::test]
async fn pieces_that_never_fit_together_end_in_an_error() {
    let (world, server) = world_with(&[Act::CutAfter(2_000_000), Act::WrongBytes]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(error, FetchError::WrongHash { .. }), "{error:?}");
    assert_eq!(server.ranges(), [None, Some(2_000_000), None]);
}

#[tokio::test]
async fn a_part_longer_than_the_file_is_thrown_away() {
    let (world, server) = world_with(&[Act::Serve]).await;
    world.write(&world.place("part"), &vec![7; world.weights.len() + 1]);
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [None]);
}

#[tokio::test]
async fn a_complete_part_needs_no_network() {
    let (world, server) = world_with(&[Act::Serve]).await;
    world.write(&world.place("part"), &world.weights);
    world.assert_fetched(world.fetch_from_hub().await);
    assert!(server.ranges().is_empty());
}

#[tokio::test]
async fn a_file_of_another_size_is_refused_before_it_is_fetched() {
    let (world, server) = world_with(&[Act::Longer]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(error, FetchError::WrongSize { expected: 3_000_000, actual: 3_000_001 }), "{error:?}");
    assert_eq!(server.ranges(), [None]);
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn a_part_of_a_file_of_another_size_is_removed() {
    for act in [Act::Longer, Act::TooMuch] {
        let (world, _server) = world_with(&[Act::CutAfter(1_000), act]).await;
        let error = only_failure(world.fetch_from_hub().await);
        assert!(matches!(error, FetchError::WrongSize { actual: 3_000_001, .. }), "{error:?}");
        assert!(world.leftovers().is_empty());
    }
}

#[tokio::test]
async fn a_missing_file_is_not_asked_for_twice() {
    let (world, server) = world_with(&[Act::Status(404)]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(error.to_string().contains("404") && error.to_string().contains("check the source"), "{error}");
    assert_eq!(server.ranges(), [None]);
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_with_the_range() {
    let world = World::new();
    let store = HubServer::start(&world.weights, &[Act::CutAfter(10_000), Act::Serve]).await;
    let elsewhere = Act::Redirect(format!("{}/stored?signature=1", store.address));
    let (world, hub) = world_with(&[Act::Redirect("/moved".to_owned()), elsewhere.clone(), elsewhere]).await;
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(hub.paths().get(1).map(String::as_str), Some("/moved"));
    assert_eq!(store.ranges(), [None, Some(10_000)]);
    assert_eq!(store.paths(), ["/stored?signature=1"; 2]);
}

#[tokio::test]
async fn endless_redirects_end() {
    let (world, server) = world_with(&[Act::Redirect("/again".to_owned())]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(error, FetchError::BadRedirect { .. }), "{error:?}");
    assert_eq!(server.ranges().len(), 9);
}

#[tokio::test]
async fn nobody_is_led_to_plain_http_on_another_machine() {
    let (world, _server) = world_with(&[Act::Redirect("http://weights.test/file".to_owned())]).await;
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(&error, FetchError::InsecureUrl { url } if url.contains("weights.test")), "{error:?}");

    let mut world = world;
    world.settings.hub = "http://hub.test".to_owned();
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(error, FetchError::InsecureUrl { .. }), "{error:?}");
}

#[tokio::test]
async fn a_hub_that_cannot_be_reached_is_named() {
    let (mut world, server) = world_with(&[Act::Serve]).await;
    // Port 1 is privileged and not in use; a port that the server has freed might be taken by another test.
    drop(server);
    world.settings.hub = "http://127.0.0.1:1".to_owned();
    let error = only_failure(world.fetch_from_hub().await);
    assert!(matches!(&error, FetchError::NoNetwork { host, .. } if host == "127.0.0.1"), "{error:?}");
    assert!(error.to_string().contains("check the network"), "{error}");
    assert!(world.leftovers().is_empty());
}
