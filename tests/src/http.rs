//! Plain HTTP, enough for probes and metrics.
#![expect(clippy::disallowed_types, reason = "a test calls real processes over the machine's own network")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long an answer may take on a machine that runs other tests as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// The status code and the body of `GET http://address/path`.
///
/// # Errors
/// When nobody answers, or not by HTTP.
pub fn get(address: &str, path: &str) -> Result<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

/// The same of `PUT http://address/path` with this JSON.
///
/// # Errors
/// As [`get`].
pub fn put_json(address: &str, path: &str, json: &str) -> Result<(u16, String)> {
    let head = "Content-Type: application/json\r\nContent-Length";
    ask(address, &format!("PUT {path} HTTP/1.0\r\nHost: {address}\r\n{head}: {}\r\n\r\n{json}", json.len()))
}

/// Sends a request and reads to the end of the answer.
fn ask(address: &str, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // HTTP/1.0 asks for a whole body, without chunks, and for the end of the connection after it.
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("reading an answer of {address}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let code = head.split(' ').nth(1).context("no status line")?.parse().context("no status code")?;
    Ok((code, body.to_owned()))
}
