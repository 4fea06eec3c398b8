//! Units as integers: replicas agree on them to the bit.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    };
}

unit!(
    /// Thousandths of a degree Celsius.
    MilliCelsius(i32)
);
unit!(
    /// Thousandths of a watt.
    MilliWatts(u32)
);
unit!(
    /// Millions of cycles a second.
    MegaHertz(u32)
);
unit!(
    /// Thousandths of a whole.
    Permille(u16)
);
unit!(
    /// A number of bytes.
    Bytes(u64)
);

unit!(
    /// Calendar time: milliseconds since 1970, UTC.
    UnixMillis(u64)
);

impl Permille {
    /// The whole.
    pub const WHOLE: Self = Self(1000);

    /// So many thousandths, and the whole where it is more: fans turn faster than the speed that is named as theirs.
    pub fn within_whole(thousandths: u32) -> Self {
        u16::try_from(thousandths).map_or(Self::WHOLE, Self).min(Self::WHOLE)
    }
}

impl fmt::Display for MilliCelsius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} °C", f64::from(self.0) / 1000.0)
    }
}

impl fmt::Display for MilliWatts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} W", f64::from(self.0) / 1000.0)
    }
}

impl fmt::Display for MegaHertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MHz", self.0)
    }
}

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", f64::from(self.0) / 10.0)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut value, mut unit) = (self.0 as f64, 0);
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        if unit == 0 { write!(f, "{} B", self.0) } else { write!(f, "{value:.1} {}", UNITS[unit]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_print_with_their_unit() {
        assert_eq!(MilliCelsius(41_500).to_string(), "41.5 °C");
        assert_eq!(Bytes(98_362_432).to_string(), "93.8 MiB");
        assert_eq!(Bytes(12).to_string(), "12 B");
        assert_eq!(Permille(125).to_string(), "12.5 %");
    }

    #[test]
    fn a_share_is_never_more_than_the_whole() {
        let shares =
            [0, 970, 1000, 1001, 66_536, u32::MAX].map(|thousandths| Permille::within_whole(thousandths).0);
        assert_eq!(shares, [0, 970, 1000, 1000, 1000, 1000]);
    }
}
