//! How text looks by what it tells. Every tone that matters is told by a word too: colour alone is not readable for all.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Dim,
    Title,
    Cool,
    Warm,
    Hot,
    Critical,
    /// Something is wrong, whatever the heat.
    Wrong,
}

impl Tone {
    /// A band's.
    pub(super) fn of_band(band: &str) -> Self {
        match band {
            "cool" => Self::Cool,
            "warm" => Self::Warm,
            "hot" => Self::Hot,
            "critical" => Self::Critical,
            _ => Self::Wrong,
        }
    }
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) coloured: bool,
}

impl Palette {
    /// Colours, unless NO_COLOR is set to something (the convention of that name).
    pub(super) fn of_environment() -> Self {
        Self { coloured: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) }
    }

    /// How a tone looks. The terminal's own sixteen colours, so that its theme decides what is readable.
    pub(super) fn style(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => (None, Modifier::empty()),
            Tone::Dim => (None, Modifier::DIM),
            Tone::Title => (None, Modifier::BOLD),
            Tone::Cool => (Some(Color::Green), Modifier::empty()),
            Tone::Warm => (Some(Color::Yellow), Modifier::empty()),
            Tone::Hot => (Some(Color::Red), Modifier::BOLD),
            Tone::Critical => (Some(Color::Red), Modifier::BOLD.union(Modifier::REVERSED)),
            Tone::Wrong => (Some(Color::Magenta), Modifier::BOLD),
        };
        let style = Style::new().add_modifier(modifier);
        colour.filter(|_| self.coloured).map_or(style, |colour| style.fg(colour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_no_tone_has_one() {
        for tone in [Tone::Cool, Tone::Warm, Tone::Hot, Tone::Critical, Tone::Wrong] {
            assert_eq!(Palette { coloured: false }.style(tone).fg, None);
            assert!(Palette { coloured: true }.style(tone).fg.is_some());
        }
    }
}
