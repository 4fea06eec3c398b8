//! What holds the clock down, out of the driver's binary table `gpu_metrics`.
//!
//! The table begins with its size and version, and the place of a field differs from version to version
//! (`kgd_pp_interface.h` of the kernel). Versions 1.0 to 1.2 tell reasons in bits that each chip numbers for itself, 1.4
//! and 1.5 in bits that their drivers leave unset, 1.9 has no fixed form, and 2 and 3 are of processors with graphics:
//! of all these nothing is told, rather than something wrong.

use helixflow_model::ClockReasons;

/// Of version 1.3: `indep_throttle_status`, the same bits on every chip.
const STATUS_1_3: usize = 112;
/// Of version 1.6: the first of five counters.
const RESIDENCIES_1_6: usize = 36;
/// Of versions 1.7 and 1.8, the same.
const RESIDENCIES_1_7: usize = 44;
/// The bits of `indep_throttle_status` (`SMU_THROTTLER_*_BIT` of `amdgpu_smu.h`): limits of power, and of current.
const POWER_BITS: [std::ops::RangeInclusive<u32>; 2] = [0..=7, 16..=23];
/// Temperatures of the die, the memory, the regulators and the liquid.
const TEMPERATURE_BITS: std::ops::RangeInclusive<u32> = 32..=43;
/// Signals that a regulator or the processor is too hot: the hardware's own reaction.
const ALARM_BITS: std::ops::RangeInclusive<u32> = 44..=47;

/// What a table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Throttling {
    /// What holds the clock down now.
    Reasons(ClockReasons),
    /// How long each reason has held it down, in the firmware's units, since the driver was loaded.
    Residencies(Residencies),
}

/// Counters that rise while a reason holds the clock down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Residencies {
    alarm: u32,
    power: u32,
    socket: u32,
    regulator: u32,
    memory: u32,
}

/// Reads a table; none where its version tells nothing, or it is cut short.
pub(super) fn throttling(table: &[u8]) -> Option<Throttling> {
    let [size_low, size_high, format, content, ..] = *table else { return None };
    if usize::from(u16::from_le_bytes([size_low, size_high])) > table.len() {
        return None;
    }
    match (format, content) {
        (1, 3) => {
            let bytes = table.get(STATUS_1_3..)?.first_chunk()?;
            Some(Throttling::Reasons(reasons(u64::from_le_bytes(*bytes))))
        }
        (1, 6) => residencies(table, RESIDENCIES_1_6),
        (1, 7 | 8) => residencies(table, RESIDENCIES_1_7),
        _ => None,
    }
}

fn residencies(table: &[u8], at: usize) -> Option<Throttling> {
    let counter = |index: usize| Some(u32::from_le_bytes(*table.get(at + 4 * index..)?.first_chunk()?));
    Some(Throttling::Residencies(Residencies {
        alarm: counter(0)?,
        power: counter(1)?,
        socket: counter(2)?,
        regulator: counter(3)?,
        memory: counter(4)?,
    }))
}

fn reasons(status: u64) -> ClockReasons {
    // A field that the driver has not filled has all bits set.
    if status == u64::MAX {
        return ClockReasons::default();
    }
    let has = |bits: &std::ops::RangeInclusive<u32>| bits.clone().any(|bit| status >> bit & 1 == 1);
    told(POWER_BITS.iter().any(has), has(&TEMPERATURE_BITS), has(&ALARM_BITS))
}

impl Residencies {
    /// What has held the clock down since `earlier`.
    pub(super) const fn since(&self, earlier: &Self) -> ClockReasons {
        // A counter that starts anew is another value, too.
        let is_thermal = self.socket != earlier.socket
            || self.regulator != earlier.regulator
            || self.memory != earlier.memory;
        told(self.power != earlier.power, is_thermal, self.alarm != earlier.alarm)
    }
}

const fn told(power: bool, thermal: bool, alarm: bool) -> ClockReasons {
    let mut reasons = ClockReasons(0);
    if power {
        reasons = reasons.with(ClockReasons::POWER_CAP);
    }
    if thermal {
        reasons = reasons.with(ClockReasons::SOFTWARE_THERMAL);
    }
    if alarm {
        reasons = reasons.with(ClockReasons::HARDWARE_SLOWDOWN).with(ClockReasons::HARDWARE_THERMAL);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(size: u16, version: (u8, u8)) -> Vec<u8> {
        let mut table = vec![0; size.into()];
        table[..2].copy_from_slice(&size.to_le_bytes());
        (table[2], table[3]) = version;
        table
    }

    #[test]
    fn the_bits_of_version_1_3_name_power_heat_and_alarms() {
        for (bit, expected) in [
            (0, ClockReasons::POWER_CAP),
            (22, ClockReasons::POWER_CAP),
            (36, ClockReasons::SOFTWARE_THERMAL),
            (47, ClockReasons::HARDWARE_SLOWDOWN.with(ClockReasons::HARDWARE_THERMAL)),
            (57, ClockReasons::default()),
        ] {
            let mut table = table(120, (1, 3));
            table[STATUS_1_3..].copy_from_slice(&(1_u64 << bit).to_le_bytes());
            assert_eq!(throttling(&table), Some(Throttling::Reasons(expected)), "bit {bit}");
        }
    }

    #[test]
    fn a_status_that_the_driver_left_unset_names_no_reason() {
        let mut table = table(120, (1, 3));
        table[STATUS_1_3..].fill(0xff);
        assert_eq!(throttling(&table), Some(Throttling::Reasons(ClockReasons::default())));
    }

    #[test]
    fn counters_that_rose_name_their_reasons() {
        for (size, version, at) in [(1664, (1, 6), 36), (2208, (1, 7), 44), (3360, (1, 8), 44)] {
            let mut table = table(size, version);
            let read = |table: &[u8]| match throttling(table) {
                Some(Throttling::Residencies(residencies)) => residencies,
                other => panic!("{version:?}: {other:?}"),
            };
            let earlier = read(&table);
            assert_eq!(read(&table).since(&earlier), ClockReasons::default());
            table[at + 4] = 7;
            assert_eq!(read(&table).since(&earlier), ClockReasons::POWER_CAP);
            table[at + 16] = 1;
            assert!(read(&table).since(&earlier).is_thermal());
        }
    }

    #[test]
    fn other_versions_and_short_tables_tell_nothing() {
        for version in [(1, 0), (1, 1), (1, 2), (1, 4), (1, 5), (1, 9), (2, 3), (3, 0)] {
            assert_eq!(throttling(&table(200, version)), None, "{version:?}");
        }
        let whole = table(120, (1, 3));
        for length in 0..whole.len() {
            assert_eq!(throttling(&whole[..length]), None, "{length} bytes");
        }
    }
}
