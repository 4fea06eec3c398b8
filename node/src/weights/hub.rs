//! A file of the Hugging Face hub or of a mirror, over HTTPS, going on where an earlier try ended.
//!
//! Certificates are checked against the roots that Mozilla publishes, carried in the binary, so that a bare
//! container needs no certificate store. Left out: proxies, and tokens for private repositories.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, RANGE, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::error::{Cut, FetchError};
use super::files::{self, blocking};
use super::http_answer::{Answer, is_trusted, read_answer};
use super::part::{Job, Part};
use super::retries::Retries;
use super::settings::Patience;

/// Redirects followed for one request; the hub needs one or two.
const MAX_REDIRECTS: usize = 8;

/// Pieces of a body that wait for the disk, of about 16 KiB each: the network waits for a slow disk.
const QUEUED_PIECES: usize = 64;

const AGENT: &str = concat!("helixflow/", env!("CARGO_PKG_VERSION"));

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Fetches the file at `url`. A part that can be gone on with stays when this fails.
pub(super) async fn fetch_url(job: &Job, url: &str, patience: &Patience) -> Result<PathBuf, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::InsecureUrl { url: url.to_owned() })?;
    let hub = Hub { client: client(patience), uri, patience };
    let fetched = hub.fetch(job).await;
    let spoiled = matches!(
        fetched,
        Err(FetchError::WrongSize { .. } | FetchError::WrongHash { .. } | FetchError::DiskFull { .. })
    );
    let part = job.places.part();
    if fetched.is_err() && (spoiled || files::size(&part).is_none_or(|left| left == 0)) {
        files::remove(&part)?;
    }
    fetched
}

fn client(patience: &Patience) -> HttpClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(patience.connect));
    let tls =
        HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).build(tls)
}

/// One file on one hub.
struct Hub<'a> {
    client: HttpClient,
    uri: Uri,
    patience: &'a Patience,
}

impl Hub<'_> {
    async fn fetch(&self, job: &Job) -> Result<PathBuf, FetchError> {
        let first = job.clone();
        let mut part = blocking(|| Part::resume(first)).await?;
        let mut may_start_over = true;
        let mut retries = Retries::new(self.patience, part.written());
        loop {
            if part.is_complete() {
                let pieced = part.is_pieced();
                match blocking(|| part.finish()).await {
                    Err(FetchError::WrongHash { .. }) if pieced && may_start_over => {
                        may_start_over = false;
                        let whole = job.clone();
                        part = blocking(|| Part::create(whole)).await?;
                    }
                    finished => return finished,
                }
            }
            let (then, broken) = self.try_once(part, job.size).await?;
            part = then;
            if let Some(error) = broken {
                let Some(pause) = retries.next_pause(part.written()) else { return Err(error) };
                tracing::info!(%error, ?pause, "the download broke and will go on");
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Asks once for what the part lacks. Gives the part back, with the reason if that may pass.
    async fn try_once(&self, part: Part, size: u64) -> Result<(Part, Option<FetchError>), FetchError> {
        let (answer, response) = match self.ask(part.written(), size).await {
            Ok(answered) => answered,
            Err(error @ (FetchError::NoNetwork { .. } | FetchError::Interrupted { .. })) => {
                return Ok((part, Some(error)));
            }
            Err(error) => return Err(error),
        };
        let refused = || FetchError::Refused { url: self.uri.to_string(), status: response.status() };
        match answer {
            Answer::Rest => self.pour(response.into_body(), part, size).await,
            Answer::Whole => {
                let part = blocking(|| part.start_over()).await?;
                self.pour(response.into_body(), part, size).await
            }
            Answer::AskForWhole => {
                let error = FetchError::Interrupted { have: part.written(), size, source: Cut::Range };
                Ok((blocking(|| part.start_over()).await?, Some(error)))
            }
            Answer::OtherSize(actual) => Err(FetchError::WrongSize { expected: size, actual }),
            Answer::Later => Ok((part, Some(refused()))),
            Answer::Never => Err(refused()),
            Answer::Elsewhere(_) | Answer::Nowhere => {
                Err(FetchError::BadRedirect { url: self.uri.to_string() })
            }
        }
    }

    /// Sends the request, and follows redirects.
    async fn ask(&self, from: u64, size: u64) -> Result<(Answer, Response<Incoming>), FetchError> {
        let mut uri = self.uri.clone();
        for _ in 0..=MAX_REDIRECTS {
            if !is_trusted(&uri) {
                return Err(FetchError::InsecureUrl { url: uri.to_string() });
            }
            let response = self.send(&uri, from, size).await?;
            match read_answer(response.status(), response.headers(), &uri, from, size) {
                Answer::Elsewhere(next) => uri = next,
                answer => return Ok((answer, response)),
            }
        }
        Err(FetchError::BadRedirect { url: self.uri.to_string() })
    }

    async fn send(&self, uri: &Uri, from: u64, size: u64) -> Result<Response<Incoming>, FetchError> {
        let mut request = Request::get(uri).header(USER_AGENT, AGENT).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let unreachable =
            |source| FetchError::NoNetwork { host: uri.host().unwrap_or_default().to_owned(), source };
        let request = request.body(Empty::new()).map_err(|error| unreachable(error.into()))?;
        match timeout(self.patience.answer, self.client.request(request)).await {
            Ok(response) => response.map_err(|error| unreachable(error.into())),
            Err(_) => {
                Err(FetchError::Interrupted { have: from, size, source: Cut::Silence(self.patience.answer) })
            }
        }
    }

    /// Writes a body to the part while it comes. An error of the disk ends the fetch, one of the network a try.
    async fn pour(
        &self,
        body: Incoming,
        part: Part,
        size: u64,
    ) -> Result<(Part, Option<FetchError>), FetchError> {
        let (pieces, queue) = mpsc::channel(QUEUED_PIECES);
        let (part, end) =
            tokio::join!(blocking(|| part.append_all(queue)), read_body(body, pieces, self.patience.silence));
        let part = part?;
        let cut = match end {
            Ok(()) if part.is_complete() => return Ok((part, None)),
            Ok(()) => Cut::Short,
            Err(cut) => cut,
        };
        let have = part.written();
        Ok((part, Some(FetchError::Interrupted { have, size, source: cut })))
    }
}

async fn read_body(mut body: Incoming, pieces: mpsc::Sender<Bytes>, silence: Duration) -> Result<(), Cut> {
    while let Some(frame) = timeout(silence, body.frame()).await.map_err(|_| Cut::Silence(silence))? {
        let Ok(piece) = frame?.into_data() else { continue };
        // A writer that is gone has its own error to tell.
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}
