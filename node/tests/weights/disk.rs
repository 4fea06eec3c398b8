//! Files on the machine's own disk: local sources, full disks, spoiled files, models made of a file.

use std::os::unix::fs::symlink;

use helixflow_model::{Architecture, Bytes, ModelId, ModelSource};
use helixflow_node::weights::{
    Catalogue, FetchError, LocalFacts, Progress, Stage, fetch, link_by_name, local_model,
};
use tokio::sync::watch;

use crate::hub_server::{Act, HubServer};
use crate::world::{World, hub_source};

/// The world's weights as a file of somebody else.
fn file_source(world: &World) -> ModelSource {
    let path = world.path("elsewhere/my model.gguf");
    world.write(&path, &world.weights);
    ModelSource::Path(path.to_string_lossy().into_owned())
}

#[tokio::test]
async fn a_local_file_is_copied_and_stays_as_it_is() {
    let world = World::new();
    let source = file_source(&world);
    world.assert_fetched(world.fetch(vec![source]).await);
    world.write(&world.path("elsewhere/my model.gguf"), b"overwritten by its owner");
    assert!(std::fs::read(world.place("gguf")).expect("the copy") == world.weights);
}

#[tokio::test]
async fn sources_are_tried_in_order_until_one_gives_the_file() {
    let mut world = World::new();
    let server = HubServer::start(&world.weights, &[Act::Status(404)]).await;
    server.becomes_hub_of(&mut world.settings);
    let missing = ModelSource::Path("/no/such/file.gguf".to_owned());
    let sources = vec![missing.clone(), hub_source(), file_source(&world)];
    world.assert_fetched(world.fetch(sources).await);
    assert_eq!(server.ranges(), [None]);
}

#[tokio::test]
async fn when_every_source_fails_each_is_told_with_its_reason() {
    let mut world = World::new();
    let server = HubServer::start(&world.weights, &[Act::Status(403)]).await;
    server.becomes_hub_of(&mut world.settings);
    let sources = vec![ModelSource::Path("/no/such/file.gguf".to_owned()), hub_source()];
    let message = world.fetch(sources).await.expect_err("no source works").to_string();
    for part in [
        "path:/no/such/file.gguf",
        "check that it exists",
        "hf:owner/name@0123abc",
        "403",
        "--model FILE.gguf",
    ] {
        assert!(message.contains(part), "{part:?} is missing in {message}");
    }
}

#[tokio::test]
async fn a_file_in_place_is_used_without_any_source() {
    let world = World::new();
    world.write(&world.place("gguf"), &world.weights);
    world.assert_fetched(world.fetch(vec![]).await);
    assert!(!world.place("lock").exists(), "a file in place needs no lock");
}

#[tokio::test]
async fn a_spoiled_file_in_place_is_replaced() {
    let world = World::new();
    let mut spoiled = world.weights.clone();
    spoiled.swap(10, 11);
    world.write(&world.place("gguf"), &spoiled);
    world.assert_fetched(world.fetch(vec![file_source(&world)]).await);
}

#[tokio::test]
async fn a_full_disk_ends_the_fetch_says_what_to_free_and_leaves_nothing() {
    let mut world = World::new();
    let server = HubServer::start(&world.weights, &[Act::Serve]).await;
    server.becomes_hub_of(&mut world.settings);
    for source in [file_source(&world), hub_source()] {
        std::fs::create_dir_all(world.dir()).expect("a directory");
        // Each write to this device fails as on a full disk.
        symlink("/dev/full", world.place("part")).expect("a link");
        let error = world.fetch(vec![source, hub_source()]).await.expect_err("the disk is full");
        assert!(matches!(error, FetchError::DiskFull { needed: Bytes(3_000_000), .. }), "{error:?}");
        assert!(error.to_string().contains("free at least 2.9 MiB"), "{error}");
        assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    }
    assert_eq!(server.ranges(), [None], "another source does not help against a full disk");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let world = World::new();
    world.write(&world.dir(), b"a file where the directory should be");
    let error = world.fetch(vec![]).await.expect_err("no directory");
    assert!(matches!(&error, FetchError::File { path, .. } if *path == world.dir()), "{error:?}");
}

#[tokio::test]
async fn a_record_that_would_climb_out_of_the_directory_is_refused() {
    let world = World::new();
    let progress = watch::Sender::new(Progress::default());
    let mut spec = world.spec(vec![]);
    spec.sha256 = "../../etc/passwd".to_owned();
    let error = fetch(&spec, &world.dir(), &world.settings, &progress).await.expect_err("no hash");
    assert!(matches!(error, FetchError::InvalidHash(_)), "{error:?}");
    let climbing = ModelSource::Hf {
        repo: "owner/name".to_owned(),
        revision: "main".to_owned(),
        file: "../../other".to_owned(),
    };
    let error = world.fetch(vec![climbing]).await.expect_err("no source");
    assert!(matches!(error, FetchError::InvalidSource(..)), "{error:?}");
}

#[tokio::test]
async fn progress_ends_at_ready_with_every_byte() {
    let world = World::new();
    let progress = watch::Sender::new(Progress::default());
    let spec = world.spec(vec![file_source(&world)]);
    fetch(&spec, &world.dir(), &world.settings, &progress).await.expect("the file is fetched");
    assert_eq!(*progress.borrow(), Progress { stage: Stage::Ready, done: spec.size, total: spec.size });
}

#[tokio::test]
async fn a_model_made_of_a_file_is_fetched_like_any_other() {
    let world = World::new();
    file_source(&world);
    let facts = LocalFacts {
        architecture: Architecture::Llama,
        layers: 3,
        context: 64,
        memory: Bytes(4_000_000),
        replicas: 2,
    };
    let progress = watch::Sender::new(Progress::default());
    let file = world.path("elsewhere/../elsewhere/my model.gguf");
    let spec = local_model(&file, facts, &progress).await.expect("the file is read");
    assert_eq!((spec.id.as_str(), spec.layers, spec.size), ("my-model", 3, Bytes(3_000_000)));
    assert_eq!(spec.sha256, world.sha256());
    assert!(spec.sha256.starts_with(&spec.version) && spec.version.len() == 12);
    let fetched = fetch(&spec, &world.dir(), &world.settings, &progress).await;
    world.assert_fetched(fetched);

    let error = local_model(&world.path("none.gguf"), facts, &progress).await.expect_err("no such file");
    assert!(error.to_string().contains("none.gguf"), "{error}");
}

#[tokio::test]
async fn a_fetched_file_can_be_found_by_its_models_name() {
    let world = World::new();
    let mut spec = world.spec(vec![file_source(&world)]);
    spec.id = ModelId::new("owner/tiny").expect("a name");
    let fetched = world.fetch(spec.sources.clone()).await.expect("the file is fetched");
    for _ in 0..2 {
        let link = link_by_name(&spec, &fetched).expect("the link is made");
        assert_eq!(link, world.dir().join("owner-tiny.gguf"));
        assert!(std::fs::read(&link).expect("the link leads to the file") == world.weights);
    }
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
}

#[test]
fn the_catalogue_in_the_tree_is_the_one_that_the_binary_carries() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster-configs/models.toml");
    let text = std::fs::read_to_string(path).expect("the catalogue is read");
    let parsed = Catalogue::parse(&text).expect("the catalogue is sound");
    assert_eq!(parsed, Catalogue::embedded().expect("the embedded catalogue is sound"));
}
