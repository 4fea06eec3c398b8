//! What a driver tells of a board: rounded as real sensors are, with a little noise, and with the faults that are on.

use std::fmt;

use helixflow_model::{
    BoardReading, EccErrors, FaultEvent, MegaHertz, MilliCelsius, MilliWatts, PcieLink, Permille,
    RowRemapping, Sensed,
};

use crate::board::Board;
use crate::parameters::Vendor;

/// Degrees by which a reading is off before it is rounded to whole ones. An estimate, as is the next.
const TEMPERATURE_NOISE: f64 = 0.4;
/// Share by which a reading of power is off.
const POWER_NOISE: f64 = 0.01;
/// Errors a second that the hardware mends in a storm.
const MENDED_A_SECOND: f64 = 2_000.0;
/// Errors a second that it does not: one in ten seconds.
const LOST_A_SECOND: f64 = 0.1;
/// NVIDIA's XID for an error of memory that was contained, and for a row that is to be replaced.
const STORM_EVENTS: [u32; 2] = [94, 63];

/// Why a reading gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The board has fallen off the bus (XID 79 with NVIDIA).
    OffTheBus,
    /// It was too hot and has turned itself off.
    TurnedOff,
    /// The call does not come back: whoever asked waits for ever.
    Blocked,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OffTheBus => "the board has fallen off the bus; restart the machine",
            Self::TurnedOff => {
                "the board was too hot and has turned itself off; cool it and restart the machine"
            }
            Self::Blocked => "the driver does not answer",
        })
    }
}

impl std::error::Error for Unreadable {}

impl Board {
    /// What the driver tells now, and the fault events since the last reading. The same moment gives the same noise.
    pub fn reading(&mut self) -> Result<BoardReading, Unreadable> {
        self.readable()?;
        let faults = self.take_events();
        let parameters = self.parameters();
        let (die, memory) = self.sensed();
        // A sensor that is stuck is so with its noise.
        let noise = if self.is_stuck() { 0.0 } else { TEMPERATURE_NOISE };
        let core = degrees(die + self.noise(0) * noise);
        let memory = degrees(memory + self.noise(1) * noise);
        let margin = MilliCelsius((parameters.limits.operating * 1000.0) as i32 - core.0);
        let told = |tells, value| if tells { Sensed::Live(value) } else { Sensed::Unsupported };
        let remapping = RowRemapping { pending: self.lost_errors() > 0, ..RowRemapping::default() };
        Ok(BoardReading {
            core: Sensed::Live(core),
            memory: told(parameters.tells_memory, memory),
            margin: told(parameters.tells_margin, margin),
            power: Sensed::Live(milliwatts(self.power() * (1.0 + self.noise(2) * POWER_NOISE))),
            power_limit: Sensed::Live(milliwatts(self.power_limit())),
            core_clock: Sensed::Live(self.clock()),
            memory_clock: Sensed::Live(MegaHertz(parameters.clocks.memory as u32)),
            utilization: Sensed::Live(Permille((self.busy() * 100.0 + 0.5) as u16 * 10)),
            // The fans are the machine's; the board has none.
            fan: Sensed::Unsupported,
            reasons: Sensed::Live(self.reasons()),
            ecc: Sensed::Live(EccErrors { corrected: self.mended_errors(), uncorrected: self.lost_errors() }),
            remapping: match parameters.vendor {
                Vendor::Nvidia => Sensed::Live(remapping),
                Vendor::Amd => Sensed::Unsupported,
            },
            pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays: 0 }),
            faults,
            devices: Vec::new(),
        })
    }

    fn noise(&self, sensor: u64) -> f64 {
        noise(self.seed() ^ self.ticks().wrapping_mul(0x9E37_79B9_7F4A_7C15), sensor)
    }

    fn mended_errors(&self) -> u64 {
        (self.storm_seconds() * MENDED_A_SECOND) as u64
    }

    fn lost_errors(&self) -> u64 {
        (self.storm_seconds() * LOST_A_SECOND) as u64
    }

    /// Events of a storm, once for each error that was not mended.
    fn take_events(&mut self) -> Vec<FaultEvent> {
        let count = self.untold(self.lost_errors());
        if count == 0 || self.parameters().vendor != Vendor::Nvidia {
            return Vec::new();
        }
        STORM_EVENTS.map(|code| FaultEvent { code, count }).to_vec()
    }
}

/// Whole degrees.
fn degrees(celsius: f64) -> MilliCelsius {
    let half = if celsius < 0.0 { -0.5 } else { 0.5 };
    MilliCelsius((celsius + half) as i32 * 1000)
}

/// Hundredths of a watt, as NVML gives them.
fn milliwatts(watts: f64) -> MilliWatts {
    MilliWatts((watts * 100.0 + 0.5) as u32 * 10)
}

/// A number between -1 and 1 that looks drawn, for a seed and what it is for: SplitMix64 (Steele, Lea, Flood, 2014).
pub(crate) fn noise(seed: u64, purpose: u64) -> f64 {
    let mut z = seed.wrapping_add(purpose.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
