//! A door to simulated boards on the operator's HTTP port, for experiments.
//!
//! `GET /simulated` tells the truth of each board as JSON, which no driver would. `PUT /simulated/<board>` with
//! `{"inlet_celsius": 48, "fans": 0.5, "faults": ["fan"]}` gives one other air and other faults, and turns it on where it
//! has turned itself off. Every key may be left out: then the air is the configured one, all fans turn, and no fault is
//! on. Faults are `bus`, `ecc`, `stuck`, `lying:DEGREES`, `blocked`, `inlet`, `fan`, `memory` and `brake`. It answers with
//! the board's truth, or with 400 and what is wrong, or 404 and the boards that there are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use helixflow_actors::Board;
use helixflow_physics::{Fault, Surroundings};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::SimulatedBoard;
use super::config::AIR;

type Boards = Arc<[Arc<SimulatedBoard>]>;

/// What a board is to be given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    inlet_celsius: Option<f64>,
    fans: Option<f64>,
    #[serde(default)]
    faults: Vec<String>,
}

/// What no driver tells.
#[derive(Debug, Serialize)]
struct Shown {
    board: String,
    name: String,
    die_celsius: f64,
    memory_celsius: f64,
    sink_celsius: f64,
    inlet_celsius: f64,
    fan: f64,
    power_watts: f64,
    clock_mhz: u32,
    asked_clock_mhz: Option<u32>,
    speed: f64,
    reasons: Vec<&'static str>,
    turned_off: bool,
    faults: Vec<String>,
}

/// The door to these boards; without any there is none.
pub(crate) fn router(boards: Vec<Arc<SimulatedBoard>>) -> Router {
    if boards.is_empty() {
        return Router::new();
    }
    Router::new()
        .route("/simulated", get(all))
        .route("/simulated/{board}", put(change))
        .with_state(Boards::from(boards))
}

async fn all(State(boards): State<Boards>) -> Json<Vec<Shown>> {
    let now = Instant::now();
    Json(boards.iter().map(|board| show(board, now)).collect())
}

async fn change(
    State(boards): State<Boards>,
    Path(name): Path<String>,
    body: String,
) -> Result<Json<Shown>, (StatusCode, String)> {
    let Some(board) = boards.iter().find(|board| board.info.board.as_str() == name) else {
        let known: Vec<&str> = boards.iter().map(|board| board.info.board.as_str()).collect();
        let words = format!("no simulated board {name:?}: there is {}\n", known.join(", "));
        return Err((StatusCode::NOT_FOUND, words));
    };
    let (air, faults) =
        understand(&body, board.air).map_err(|words| (StatusCode::BAD_REQUEST, format!("{words}\n")))?;
    tracing::info!(board = name, ?air, ?faults, "the simulated board's surroundings and faults are changed");
    let now = Instant::now();
    board.change(air, &faults, now);
    Ok(Json(show(board, now)))
}

/// What the body asks for, given the configured air.
fn understand(body: &str, configured: Surroundings) -> Result<(Surroundings, Vec<Fault>), String> {
    let change: Change = serde_json::from_str(body).map_err(|error| {
        format!("the body is not understood: {error}; give JSON like {{\"inlet_celsius\": 48, \"faults\": [\"fan\"]}}")
    })?;
    let inlet = change.inlet_celsius.unwrap_or(configured.inlet);
    if !AIR.contains(&inlet) {
        return Err(format!("inlet_celsius: {inlet} is not from {} to {}", AIR.start(), AIR.end()));
    }
    let fans = change.fans.unwrap_or(configured.fans);
    if !(0.0..=1.0).contains(&fans) {
        return Err(format!("fans: {fans} is no share: give one from 0 to 1"));
    }
    let faults: Result<_, _> = change.faults.iter().map(|name| name.parse::<Fault>()).collect();
    Ok((Surroundings { inlet, fans }, faults.map_err(|unknown| format!("faults: {unknown}"))?))
}

fn show(board: &SimulatedBoard, now: Instant) -> Shown {
    let mut live = board.live.lock();
    let model = live.at(now);
    let truth = model.truth();
    Shown {
        board: board.info().board.to_string(),
        name: board.info().name.clone(),
        die_celsius: truth.die,
        memory_celsius: truth.memory,
        sink_celsius: truth.sink,
        inlet_celsius: truth.inlet,
        fan: truth.fan,
        power_watts: truth.power,
        clock_mhz: model.clock().0,
        asked_clock_mhz: model.clock_limit().map(|clock| clock.0),
        speed: truth.speed,
        reasons: model.reasons().names().collect(),
        turned_off: truth.turned_off,
        faults: model.faults().iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Surroundings = Surroundings { inlet: 31.0, fans: 1.0 };

    #[test]
    fn what_is_left_out_is_as_configured() {
        assert_eq!(understand("{}", CONFIGURED), Ok((CONFIGURED, Vec::new())));
        let (air, faults) =
            understand(r#"{"inlet_celsius": 48, "faults": ["fan", "lying:-20"]}"#, CONFIGURED)
                .expect("it is fine");
        assert_eq!(air, Surroundings { inlet: 48.0, fans: 1.0 });
        assert_eq!(faults, [Fault::FailedFan, Fault::LyingSensor(-20.0)]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (body, complaint) in [
            ("", "the body is not understood"),
            ("[]", "the body is not understood"),
            (r#"{"inlet": 48}"#, "unknown field `inlet`"),
            (r#"{"inlet_celsius": 480}"#, "inlet_celsius: 480 is not from -20 to 100"),
            (r#"{"fans": 2}"#, "fans: 2 is no share"),
            (r#"{"faults": ["fans"]}"#, "faults: \"fans\" is no fault: use bus, ecc"),
            (r#"{"faults": "fan"}"#, "the body is not understood"),
        ] {
            let words = understand(body, CONFIGURED).expect_err(body);
            assert!(words.contains(complaint), "{body}: {words}");
        }
    }
}
