//! The link actor: keeps the report stream to one coordinator open.
//!
//! Handling the one message is one connection, from its opening to its break; then comes a pause, and the next. Reports
//! are taken from the latest value as the connection has room for them, so a slow coordinator delays nobody and finds
//! no backlog. It holds nothing that needs undoing, and is ended by killing it.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use helixflow_control::Backoff;
use helixflow_env::Env;
use helixflow_proto::v1;
use helixflow_proto::v1::telemetry_service_client::TelemetryServiceClient;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

use crate::channel::{CoordinatorChannel, own_call};
use crate::mailbox::Letter;
use crate::reports::Made;
use crate::tree::Station;

/// A coordinator restarts within a second or two, and gateways wait for this node's first report.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(3) };
/// A connection that lived for this long was a good one: after its break the pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// From the call to the coordinator's first answer.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// Reports to one coordinator.
pub(crate) struct Link;

/// The only message: connect, and report until the connection breaks.
pub(crate) struct Connect;

pub(crate) struct LinkState {
    pub(crate) address: String,
    pub(crate) channel: CoordinatorChannel,
    pub(crate) reports: watch::Receiver<Option<Made>>,
    pub(crate) env: Env,
    /// In a row.
    pub(crate) failures: u32,
    pub(crate) station: Station,
}

impl Actor for Link {
    type Msg = Letter<Connect>;
    type State = LinkState;
    type Arguments = LinkState;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: LinkState,
    ) -> Result<LinkState, ActorProcessingErr> {
        myself.cast(state.station.mailbox.letter(Connect))?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        state: &mut LinkState,
    ) -> Result<(), ActorProcessingErr> {
        let Connect = letter.open();
        state.station.runs("connects");
        let began = Instant::now();
        let status = match report(state).await {
            Ok(()) => Status::unavailable("the coordinator closed the stream"),
            Err(status) => status,
        };
        state.failures = if began.elapsed() >= GOOD_AFTER { 1 } else { state.failures.saturating_add(1) };
        let pause = BACKOFF.jittered(state.failures, state.env.random.next_u64());
        let message = status.message();
        tracing::info!(coordinator = %state.address, message, ?pause, "reports to a coordinator broke off");
        state.station.runs(format!("tries again after {pause:.1?}: {message}"));
        let mailbox = state.station.mailbox.clone();
        myself.send_after(pause, move || mailbox.letter(Connect));
        Ok(())
    }
}

/// One connection: reports go out, acknowledgements come back, until either side ends it.
async fn report(state: &LinkState) -> Result<(), Status> {
    // A report that the connection had no room for has grown older meanwhile: its age is that of the moment it goes out.
    // A killed link leaves a connection behind that would go on taking reports from it, so they end with this call.
    let (_while_it_lasts, over) = oneshot::channel::<Infallible>();
    let reports = WatchStream::new(state.reports.clone())
        .filter_map(|made| std::future::ready(made.map(|made| v1::NodeReport::from(made.now()))))
        .take_until(over);
    let mut client = TelemetryServiceClient::new(state.channel.clone());
    let opening = client.report(own_call(&state.env, reports));
    let mut acks = match tokio::time::timeout(OPEN_LIMIT, opening).await {
        Ok(answer) => answer?.into_inner(),
        Err(_) => return Err(Status::deadline_exceeded(format!("no answer within {OPEN_LIMIT:?}"))),
    };
    tracing::info!(coordinator = %state.address, "reports to a coordinator");
    state.station.runs("reports");
    while let Some(ack) = acks.message().await? {
        tracing::trace!(coordinator = %state.address, sequence = ack.sequence, "report taken in");
    }
    Ok(())
}
