//! A coordinator that dies with a request in hand: what may be asked again is answered by another one, and the rest is
//! told as what it is.

use std::time::Duration;

use helixflow_client::{Client, ClientError, ClientOptions};
use helixflow_env::Env;
use helixflow_env::net::{Connection, Listener};
use helixflow_proto::v1::inference_service_server::{InferenceService, InferenceServiceServer};
use helixflow_proto::v1::{
    ChatRequest, EmbedRequest, EmbedResponse, GenerateRequest, GenerateResponse, TokenizeRequest,
    TokenizeResponse,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// An empty SETTINGS frame, with which every HTTP/2 server begins.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GOAWAY, no error, no request of the client was looked at.
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;

/// A call that nobody answers ends after this.
const SHORT: Duration = Duration::from_millis(500);
/// Far beyond what any other call here takes.
const LONG: Duration = Duration::from_secs(60);

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Before anything was read.
    AtOnce,
    /// With the request read, as when the process dies.
    Closed,
    /// With the word that the server leaves.
    GoAway,
    /// It is no HTTP/2 server.
    Foreign,
    /// It does not end.
    Silent,
}

#[tokio::test]
async fn what_may_be_asked_again_is_answered_by_another_coordinator() -> anyhow::Result<()> {
    for end in [End::AtOnce, End::Closed, End::GoAway, End::Foreign] {
        let client = client(&[breaking(end).await?, sound().await?])?;
        let answer = client.tokenize(TokenizeRequest::default()).await?;
        assert_eq!(answer.ids, [7], "{end:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_command_whose_outcome_nobody_knows_is_left_to_the_caller() -> anyhow::Result<()> {
    for end in [End::AtOnce, End::Closed] {
        let error = client(&[breaking(end).await?, sound().await?])?.remove_coordinator(1).await.err();
        let Some(ClientError::Call { attempts: 1, .. }) = &error else { panic!("{end:?}: {error:?}") };
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("broke before the answer came"), "{end:?}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn time_that_runs_out_and_a_wrong_port_are_told_apart_from_a_broken_connection() -> anyhow::Result<()> {
    let cases = [
        (End::Silent, SHORT, "did not answer in time"),
        (End::Foreign, LONG, "the address of its gRPC port"),
    ];
    for (end, timeout, told) in cases {
        let options = ClientOptions { timeout: Some(timeout) };
        let client = Client::new(&Env::real(), &[breaking(end).await?], options)?;
        let error = client.status().await.err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains(told), "{end:?}: {text}");
    }
    Ok(())
}

fn client(addresses: &[String]) -> Result<Client, ClientError> {
    Client::new(&Env::real(), addresses, ClientOptions { timeout: Some(LONG) })
}

/// A port whose connections all end so.
async fn breaking(end: End) -> anyhow::Result<String> {
    let mut listener = listen().await?;
    let address = listener.local_addr().to_string();
    tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            tokio::spawn(serve(connection, end));
        }
    });
    Ok(address)
}

async fn serve(mut connection: Connection, end: End) -> std::io::Result<()> {
    if matches!(end, End::AtOnce) {
        return Ok(());
    }
    if matches!(end, End::Foreign) {
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        return read_all(&mut connection).await;
    }
    connection.write_all(&SETTINGS).await?;
    read_request(&mut connection).await?;
    match end {
        End::GoAway => connection.write_all(&GOAWAY).await,
        End::Silent => read_all(&mut connection).await,
        End::AtOnce | End::Closed | End::Foreign => Ok(()),
    }
}

/// Reads frames until a request has begun.
async fn read_request(connection: &mut Connection) -> std::io::Result<()> {
    connection.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut header = [0; FRAME_HEADER];
        connection.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        connection.read_exact(&mut vec![0; length as usize]).await?;
        if header[3] == HEADERS {
            return Ok(());
        }
    }
}

async fn read_all(connection: &mut Connection) -> std::io::Result<()> {
    connection.read_to_end(&mut Vec::new()).await.map(drop)
}

async fn listen() -> anyhow::Result<Listener> {
    Ok(Env::real().network.bind("127.0.0.1:0".parse()?).await?)
}

/// A coordinator that answers.
async fn sound() -> anyhow::Result<String> {
    let listener = listen().await?;
    let address = listener.local_addr().to_string();
    let services = Server::builder().add_service(InferenceServiceServer::new(Sound));
    tokio::spawn(services.serve_with_incoming(listener));
    Ok(address)
}

struct Sound;

#[tonic::async_trait]
impl InferenceService for Sound {
    type GenerateStream = tokio_stream::Empty<Result<GenerateResponse, Status>>;
    type ChatStream = Self::GenerateStream;

    async fn generate(&self, _: Request<GenerateRequest>) -> Result<Response<Self::GenerateStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn chat(&self, _: Request<ChatRequest>) -> Result<Response<Self::ChatStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn tokenize(&self, _: Request<TokenizeRequest>) -> Result<Response<TokenizeResponse>, Status> {
        Ok(Response::new(TokenizeResponse { ids: vec![7], ..TokenizeResponse::default() }))
    }

    async fn embed(&self, _: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        Ok(Response::new(EmbedResponse::default()))
    }
}
