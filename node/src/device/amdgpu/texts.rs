//! What the driver writes into its files, turned into our units.

use helixflow_model::{EccErrors, MegaHertz, MilliCelsius, MilliWatts, Permille};

/// The steps of a clock: `1: 2100Mhz *` a line, the star where it stands now. A clock that sleeps is a line of its own
/// (`S: 19Mhz *`) and no step.
pub(super) fn clocks(text: &str) -> Vec<MegaHertz> {
    let step = |line: &str| {
        let (number, clock) = line.split_once(':')?;
        number.trim().parse::<u32>().ok()?;
        clock.trim().split("Mhz").next()?.parse().ok().map(MegaHertz)
    };
    text.lines().filter_map(step).collect()
}

/// Errors of one block: `ue: 0` and `ce: 0`, a line each.
pub(super) fn errors(text: &str) -> Option<EccErrors> {
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line?.trim_start_matches(':').trim().parse().ok()
    };
    Some(EccErrors { corrected: count("ce")?, uncorrected: count("ue")? })
}

/// The generation of PCI Express that runs at this speed, for instance `16.0 GT/s PCIe`.
pub(super) fn generation(text: &str) -> Option<u8> {
    match text.split_whitespace().next()? {
        "2.5" => Some(1),
        "5" | "5.0" => Some(2),
        "8" | "8.0" => Some(3),
        "16" | "16.0" => Some(4),
        "32" | "32.0" => Some(5),
        "64" | "64.0" => Some(6),
        _ => None,
    }
}

/// Millidegrees, as hwmon gives temperatures.
pub(super) fn temperature(milli: i64) -> MilliCelsius {
    MilliCelsius(i32::try_from(milli).unwrap_or(i32::MAX))
}

/// Of microwatts, as hwmon gives power.
pub(super) fn milliwatts(micro: i64) -> MilliWatts {
    MilliWatts(whole(micro / 1000))
}

/// Of hertz, as hwmon gives clocks.
pub(super) fn megahertz(hertz: i64) -> MegaHertz {
    MegaHertz(whole(hertz / 1_000_000))
}

/// A share of `full`.
pub(super) fn permille(part: i64, full: i64) -> Permille {
    Permille::within_whole(whole(part.saturating_mul(1000) / full.max(1)))
}

/// The nearest number that is none below zero.
pub(super) fn whole(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_s_texts_are_understood() {
        let steps = clocks("S: 19Mhz *\n0: 500Mhz\n1: 2100Mhz\n");
        assert_eq!(steps, [MegaHertz(500), MegaHertz(2100)]);
        assert_eq!(errors("ue: 1\nce: 12\n"), Some(EccErrors { corrected: 12, uncorrected: 1 }));
        assert_eq!(errors("ue: 1\n"), None);
        assert_eq!(generation("16.0 GT/s PCIe"), Some(4));
        assert_eq!(generation("Unknown"), None);
        assert_eq!(
            [(1500, 3000), (3100, 3000), (-1, 100)].map(|(part, full)| permille(part, full).0),
            [500, 1000, 0]
        );
    }
}
