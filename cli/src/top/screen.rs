//! The terminal while `top` owns it: its own screen, keys unechoed; given back on every way out, a panic included.

use std::io::{self, IsTerminal};

use anyhow::{Context, bail};
use ratatui::DefaultTerminal;
use tokio::time::Instant;

use super::app::App;
use super::draw;
use super::palette::Palette;

/// Refuses what is no terminal: there is nothing to draw on, or nobody to press a key.
pub(super) fn require_terminal() -> anyhow::Result<()> {
    for (name, is_terminal) in [("output", io::stdout().is_terminal()), ("input", io::stdin().is_terminal())]
    {
        if !is_terminal {
            bail!(
                "standard {name} is no terminal, and top draws on one: `helixflow status` prints the same once, \
                 `helixflow status --json` for scripts"
            );
        }
    }
    Ok(())
}

/// The terminal, until it is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    palette: Palette,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before its message is written.
    pub(super) fn enter(palette: Palette) -> anyhow::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal, palette }),
            Err(error) => {
                // It may be half taken; the error that is told is the first one.
                let _ = ratatui::try_restore();
                Err(error).context("taking the terminal")
            }
        }
    }

    /// Draws everything as it is at `now`.
    pub(super) fn draw(&mut self, app: &mut App, now: Instant) -> anyhow::Result<()> {
        let Self { terminal, palette } = self;
        terminal.draw(|frame| draw::draw(frame, app, *palette, now)).context("drawing on the terminal")?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A panic has given it back already; once more would set the cursor back onto the panic's message.
        if !std::thread::panicking() {
            // Where the terminal is gone there is nothing to give back.
            let _ = ratatui::try_restore();
        }
    }
}
