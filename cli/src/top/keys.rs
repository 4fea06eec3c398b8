//! Keys: what each means, and where they come from.

use std::thread::Builder;

use anyhow::{Context, anyhow};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc::{self, Receiver};

use super::view::Sort;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Leave,
    Scroll(Scroll),
    SortBy(Sort),
    /// The terminal has another size.
    Redraw,
}

/// Where to look next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    LineUp,
    LineDown,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

/// Keys pressed and not yet obeyed: a frame is drawn for each, so more of them wait in the terminal's own buffer.
const WAITING: usize = 16;

/// The keyboard of a terminal in raw mode.
#[derive(Debug)]
pub(super) struct Keys(Receiver<anyhow::Result<Action>>);

impl Keys {
    /// Listens from now on, on a thread of its own: a read of a terminal cannot be taken back, so it ends with the process.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let (pressed, keys) = mpsc::channel(WAITING);
        let listen = move || {
            loop {
                let event = event::read().context("reading the keyboard");
                let is_over = event.is_err();
                let asked = event.map(|event| action(&event)).transpose();
                if asked.is_some_and(|asked| pressed.blocking_send(asked).is_err()) || is_over {
                    return;
                }
            }
        };
        Builder::new().name("keyboard".to_owned()).spawn(listen).context("listening to the keyboard")?;
        Ok(Self(keys))
    }

    /// What the next key asks for that means something.
    pub(super) async fn pressed(&mut self) -> anyhow::Result<Action> {
        self.0.recv().await.unwrap_or_else(|| Err(anyhow!("the keyboard is listened to no more")))
    }
}

/// What an event asks for.
fn action(event: &Event) -> Option<Action> {
    if matches!(event, Event::Resize(..)) {
        return Some(Action::Redraw);
    }
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) =
        event
    else {
        return None;
    };
    if modifiers.contains(KeyModifiers::CONTROL) {
        return (*code == KeyCode::Char('c')).then_some(Action::Leave);
    }
    Some(match code {
        KeyCode::Esc | KeyCode::Char('q') => Action::Leave,
        KeyCode::Up => Action::Scroll(Scroll::LineUp),
        KeyCode::Down => Action::Scroll(Scroll::LineDown),
        KeyCode::PageUp => Action::Scroll(Scroll::PageUp),
        KeyCode::PageDown => Action::Scroll(Scroll::PageDown),
        KeyCode::Home => Action::Scroll(Scroll::Top),
        KeyCode::End => Action::Scroll(Scroll::Bottom),
        KeyCode::Char('h') => Action::SortBy(Sort::Heat),
        KeyCode::Char('l') => Action::SortBy(Sort::Load),
        KeyCode::Char('n') => Action::SortBy(Sort::Name),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        action(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn each_key_of_the_help_line_means_what_it_says() {
        for leave in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(pressed(leave, KeyModifiers::NONE), Some(Action::Leave));
        }
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Leave));
        let sorted = |key| pressed(KeyCode::Char(key), KeyModifiers::NONE);
        assert_eq!(sorted('h'), Some(Action::SortBy(Sort::Heat)));
        assert_eq!(sorted('l'), Some(Action::SortBy(Sort::Load)));
        assert_eq!(sorted('n'), Some(Action::SortBy(Sort::Name)));
        assert_eq!(pressed(KeyCode::End, KeyModifiers::NONE), Some(Action::Scroll(Scroll::Bottom)));
    }

    #[test]
    fn other_keys_and_their_releases_mean_nothing() {
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(pressed(KeyCode::Char('q'), KeyModifiers::CONTROL), None);
        let release = KeyEvent { kind: KeyEventKind::Release, ..KeyEvent::from(KeyCode::Char('q')) };
        assert_eq!(action(&Event::Key(release)), None);
        assert_eq!(action(&Event::FocusGained), None);
    }
}
