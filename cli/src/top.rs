//! `helixflow top`: the cluster live on a terminal, as one coordinator knows it.
//!
//! [`view`] makes rows of an answer, [`columns`] and [`document`] lay them out as text, [`app`] holds what was answered,
//! where one looks and how it is sorted: none of these reads a clock, a key or a socket. [`keys`] and [`screen`] do. It
//! only watches: no key changes the cluster.

mod app;
mod columns;
mod document;
mod draw;
mod history;
mod keys;
mod palette;
mod screen;
mod sections;
mod view;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use helixflow_client::Client;
use helixflow_proto::v1::StatusResponse;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use self::app::App;
use self::keys::Keys;
use self::palette::Palette;
use self::screen::Screen;
use crate::INTERRUPTED;
use crate::endpoint::Target;
use crate::interrupt::Interrupt;

/// Nodes report four times a second at most: asking oftener than ten times shows nothing new.
const SHORTEST_INTERVAL: f64 = 0.1;
/// Beyond a minute it is no live view: `watch helixflow status` does that.
const LONGEST_INTERVAL: f64 = 60.0;
/// A coordinator that answers at all does so within a second; after this, or `--timeout`, the question counts as lost and
/// is asked anew.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Ages are shown in seconds, so this is how often they move.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// How to watch the cluster.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: q, Esc or Ctrl-C leave; arrows, PageUp, PageDown, Home and End scroll; h, l and n sort by heat,\n\
                        load and name. NO_COLOR turns colours off.\n\n\
                        Columns: °C/MEM are the die and its memory (? gives an error, ! has stood still), ROOM the degrees\n\
                        from the forecast to where heat costs speed, MHZ/ASK the clock and the one asked for, CONTROL who\n\
                        asks (monitor: nobody), REQS active requests and those that wait, AGE of the reading."
)]
pub(crate) struct Args {
    /// Ask this often, from 0.1 to 60 seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    screen::require_terminal()?;
    let session = args.target.open()?;
    session.wait(async {
        // A cluster that was never there is an error like any other's; one that goes away later is shown as such.
        let limit = args.target.timeout().unwrap_or(ANSWER_LIMIT);
        let first = ask(session.client.clone(), limit).await?;
        let mut app = App::new(first.into(), Instant::now());
        let mut screen = Screen::enter(Palette::of_environment())?;
        watch(&session.client, &mut app, &mut screen, args.interval, limit).await
    })
}

/// Asks, draws and listens to keys until somebody wants to leave.
async fn watch(
    client: &Client,
    app: &mut App,
    screen: &mut Screen,
    every: Duration,
    limit: Duration,
) -> anyhow::Result<ExitCode> {
    let mut keys = Keys::listen()?;
    let mut interrupt = Interrupt::listen()?;
    let (mut due, mut redraw) = (interval(every), interval(REDRAW_EVERY));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // One question at most is under way.
    let mut asked = JoinSet::new();
    loop {
        screen.draw(app, Instant::now())?;
        tokio::select! {
            pressed = keys.pressed() => if app.obey(pressed?).is_break() {
                return Ok(ExitCode::SUCCESS);
            },
            () = interrupt.requested() => return Ok(ExitCode::from(INTERRUPTED)),
            _ = redraw.tick() => {}
            _ = due.tick(), if asked.is_empty() => { asked.spawn(ask(client.clone(), limit)); }
            Some(answer) = asked.join_next() => match answer.context("the question was lost").flatten() {
                Ok(status) => app.answered(status.into(), Instant::now()),
                Err(error) => app.failed(format!("{error:#}"), Instant::now()),
            },
        }
    }
}

/// What one coordinator knows, or why none has told.
async fn ask(client: Client, limit: Duration) -> anyhow::Result<StatusResponse> {
    match timeout(limit, client.status()).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(anyhow!("no coordinator answered within {limit:?}: is the cluster up?")),
    }
}

/// Reads an interval.
fn seconds(given: &str) -> anyhow::Result<Duration> {
    let bounds = SHORTEST_INTERVAL..=LONGEST_INTERVAL;
    let seconds = given.parse::<f64>().ok().filter(|seconds| bounds.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        anyhow!("give seconds from {SHORTEST_INTERVAL} to {LONGEST_INTERVAL}, for instance 0.5")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_keeps_to_its_bounds() {
        assert_eq!(seconds("0.5").expect("within"), Duration::from_millis(500));
        assert_eq!(seconds("60").expect("within"), Duration::from_secs(60));
        for bad in ["0", "0.09", "61", "-1", "NaN", "inf", "often"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
