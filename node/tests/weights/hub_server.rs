//! A hub on loopback that does, request by request, what a test tells it to.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use helixflow_node::weights::FetchSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// What the hub does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Gives what was asked for.
    Serve,
    /// Gives the whole file, whatever was asked for.
    IgnoreRange,
    /// Announces all that was asked for, gives so many bytes and cuts the connection.
    CutAfter(usize),
    /// Announces all that was asked for, gives so many bytes and then nothing.
    StallAfter(usize),
    /// Gives so many bytes of a body without announced length, as if that were all.
    EndAfter(usize),
    /// Gives more than the file, without announcing how much.
    TooMuch,
    /// Gives what was asked for with every byte changed.
    WrongBytes,
    /// Gives the range from another byte on than was asked for.
    OtherRange,
    /// Announces a file that is longer by one byte.
    Longer,
    /// Answers with a bare status.
    Status(u16),
    /// Sends the client elsewhere.
    Redirect(String),
}

/// A request's path, and its first byte if it asks for a range.
type Request = (String, Option<usize>);

/// The hub; it ends with its handle.
pub(crate) struct HubServer {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl HubServer {
    /// Serves `file`; acts are taken in order, and the last one stays.
    #[expect(clippy::disallowed_types, reason = "the tests' own server stands outside of any simulation")]
    pub(crate) async fn start(file: &[u8], acts: &[Act]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (file, mut acts, record) =
            (Arc::new(file.to_vec()), VecDeque::from(acts.to_vec()), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Ok((path, from)) = read_request(&mut stream).await else { continue };
                record.lock().expect("the record").push((path, from));
                let act = if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() };
                let file = file.clone();
                tokio::spawn(async move {
                    // A client that goes away is the client's affair.
                    let _gone = answer(&mut stream, act.unwrap_or(Act::Serve), &file, from).await;
                });
            }
        });
        Self { address, asked, task }
    }

    /// Makes the settings use this hub.
    pub(crate) fn becomes_hub_of(&self, settings: &mut FetchSettings) {
        settings.hub.clone_from(&self.address);
    }

    /// The first byte asked for by each request, `None` for the whole file.
    pub(crate) fn ranges(&self) -> Vec<Option<usize>> {
        self.asked.lock().expect("the record").iter().map(|(_, from)| *from).collect()
    }

    /// The path of each request.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked.lock().expect("the record").iter().map(|(path, _)| path.clone()).collect()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let from =
        head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    Ok((path, from))
}

async fn answer(
    stream: &mut (impl AsyncWriteExt + Unpin),
    act: Act,
    file: &[u8],
    from: Option<usize>,
) -> io::Result<()> {
    let size = file.len();
    let start = from.unwrap_or(0);
    let asked = || file.get(start..).unwrap_or_default();
    let (head, body) = match &act {
        Act::Status(status) => (format!("HTTP/1.1 {status} As Told\r\ncontent-length: 0"), Vec::new()),
        Act::Redirect(to) => {
            (format!("HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: {to}"), Vec::new())
        }
        Act::IgnoreRange => (whole(size), file.to_vec()),
        Act::Longer => (whole(size + 1), Vec::new()),
        Act::OtherRange => (partial(start + 1, size), file.get(start + 1..).unwrap_or_default().to_vec()),
        Act::WrongBytes => (given(from, size), asked().iter().map(|byte| !byte).collect()),
        Act::TooMuch => ("HTTP/1.1 200 OK".to_owned(), [file, b"!"].concat()),
        Act::EndAfter(count) => {
            ("HTTP/1.1 200 OK".to_owned(), asked().iter().take(*count).copied().collect())
        }
        Act::CutAfter(count) | Act::StallAfter(count) => {
            (given(from, size), asked().iter().take(*count).copied().collect())
        }
        Act::Serve => (given(from, size), asked().to_vec()),
    };
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    if matches!(act, Act::StallAfter(_)) {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

fn given(from: Option<usize>, size: usize) -> String {
    from.map_or_else(|| whole(size), |from| partial(from, size))
}

fn whole(size: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {size}")
}

fn partial(from: usize, size: usize) -> String {
    let (last, length) = (size - 1, size - from);
    format!(
        "HTTP/1.1 206 Partial Content\r\ncontent-length: {length}\r\ncontent-range: bytes {from}-{last}/{size}"
    )
}
