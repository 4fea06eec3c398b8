//! Several fetches of one file into one directory: one works, the others wait. Locks belong to open files, so
//! that two fetches of one process exclude each other as those of two processes do.

use std::time::Duration;

use helixflow_node::weights::{FetchError, Progress, Stage, fetch};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::watch;

use crate::hub_server::{Act, HubServer};
use crate::world::{World, hub_source};

#[tokio::test]
async fn three_nodes_of_one_machine_download_once() {
    let mut world = World::new();
    let server = HubServer::start(&world.weights, &[Act::CutAfter(1_000_000), Act::Serve]).await;
    server.becomes_hub_of(&mut world.settings);
    let (a, b, c) = tokio::join!(world.fetch_from_hub(), world.fetch_from_hub(), world.fetch_from_hub());
    for fetched in [a, b, c] {
        world.assert_fetched(fetched);
    }
    assert_eq!(server.ranges(), [None, Some(1_000_000)]);
}

#[tokio::test]
async fn a_fetch_that_is_called_off_gives_its_lock_back_and_the_next_goes_on() {
    let mut world = World::new();
    let server = HubServer::start(&world.weights, &[Act::StallAfter(2_000_000), Act::Serve]).await;
    server.becomes_hub_of(&mut world.settings);
    let (spec, dir) = (world.spec(vec![hub_source()]), world.dir());
    let progress = watch::Sender::new(Progress::default());
    let mut seen = progress.subscribe();
    tokio::select! {
        fetched = fetch(&spec, &dir, &world.settings, &progress) => panic!("the stalled fetch ended: {fetched:?}"),
        stalled = seen.wait_for(|p| p.stage == Stage::Downloading && p.done.0 == 2_000_000) => drop(stalled),
    }
    world.assert_fetched(world.fetch_from_hub().await);
    assert_eq!(server.ranges(), [None, Some(2_000_000)]);
}

#[tokio::test]
async fn a_process_that_holds_the_lock_and_brings_nothing_is_not_waited_for_forever() {
    let mut world = World::new();
    world.settings.patience.lock_silence = Duration::from_millis(100);
    world.write(&world.place("lock"), b"");
    let held = std::fs::OpenOptions::new().write(true).open(world.place("lock")).expect("the lock's file");
    flock(&held, FlockOperation::LockExclusive).expect("the lock is free");
    let error = world.fetch_from_hub().await.expect_err("the lock is held");
    assert!(matches!(error, FetchError::LockSilent { .. }), "{error:?}");
    assert!(error.to_string().contains("end the process that holds"), "{error}");
}
