//! Acting on a board's clock: written down first, then set; and undone.
//!
//! A clock is locked where the board can do that. Where it cannot, its power limit stands in: a lower limit holds the
//! clock down, and how far is for the governor to see.

use std::sync::Arc;

use helixflow_actors::ClockError;
use helixflow_control::HeldBy;
use helixflow_model::{BoardId, BoardLimits, MegaHertz, MilliWatts};
use parking_lot::Mutex;

use super::driver::Refusal;
use super::journal::{Journal, JournalError, Setting};
use super::process::{CallError, Reader};
use super::protocol::{Answer, Ask};

/// The step of power limits: drivers round to it, and what is read back must be what was set.
pub(super) const WATT: u32 = 1000;

/// What nodes have set, shared by all boards.
pub(super) type Settings = Arc<Mutex<Journal>>;

/// By what a board's clock is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Means {
    /// Its clock is locked.
    #[default]
    Clock,
    /// Its power limit is lowered.
    Power,
    /// By nothing, for this reason.
    Nothing(String),
}

/// Why something was not set or undone.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetError {
    /// The driver refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It could not be written down, and was not set.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The reader answered something else.
    #[error("the process that reads devices answered something else; is it of another build?")]
    Confused,
}

/// One board's clock.
#[derive(Debug)]
pub(super) struct ClockOf {
    reader: Reader,
    settings: Settings,
    board: BoardId,
    limits: BoardLimits,
    means: Mutex<Means>,
}

impl ClockOf {
    pub(super) fn new(reader: Reader, settings: Settings, board: BoardId, limits: BoardLimits) -> Self {
        Self { reader, settings, board, limits, means: Mutex::default() }
    }

    /// Holds the clock at or below `most`, or lets it run freely; where nothing of ours is set, the latter only asks
    /// whether it would be allowed. Tells by what it is held.
    pub(super) async fn limit(&self, most: Option<MegaHertz>) -> Result<HeldBy, ClockError> {
        let outcome = match most {
            Some(most) => self.hold(most).await,
            None if self.settings.lock().setting(&self.board).is_some() => {
                undo(&self.reader, &self.settings, &self.board).await.map(|()| HeldBy::Clock)
            }
            None => self.may_set().await.map(|()| HeldBy::Clock),
        };
        outcome.map_err(|error| match error {
            SetError::Refused(Refusal::NotPermitted(why) | Refusal::Unsupported(why)) => {
                ClockError::NotPermitted { why }
            }
            other => ClockError::Failed(other.into()),
        })
    }

    /// Forgets that the clock was locked: somebody else has locked or freed it since. A power limit stays written down,
    /// for it can be read, and one that is not ours any more is left alone anyway.
    pub(super) fn leave(&self) {
        let mut settings = self.settings.lock();
        if settings.setting(&self.board) == Some(Setting::LockedClock)
            && let Err(error) = settings.clear(&self.board)
        {
            tracing::warn!(board = %self.board, %error, "the end of this node will undo what somebody else has set");
        }
    }

    async fn may_set(&self) -> Result<(), SetError> {
        done(self.reader.ask(&self.board, Ask::MaySet).await?)
    }

    async fn hold(&self, most: MegaHertz) -> Result<HeldBy, SetError> {
        // A power limit that an earlier life left is ours to put back: it is kept in view.
        let is_power = matches!(self.settings.lock().setting(&self.board), Some(Setting::PowerLimit { .. }));
        if self.means() == Means::Clock && !is_power {
            match self.set(Setting::LockedClock, Ask::LockClock(most)).await {
                Err(SetError::Refused(Refusal::Unsupported(_))) => *self.means.lock() = Means::Power,
                outcome => return outcome.map(|()| HeldBy::Clock),
            }
        }
        if let Means::Nothing(why) = self.means() {
            return Err(Refusal::NotPermitted(why).into());
        }
        let now = power_limit(&self.reader, &self.board).await?;
        let limit = power_for(&self.limits, self.power_before(now), most).ok_or_else(|| {
            Refusal::Unsupported(
                "the clock cannot be locked, and the board tells no range of power limits".to_owned(),
            )
        })?;
        let setting = self.power_setting(now, limit)?;
        self.set(setting, Ask::SetPowerLimit(limit)).await?;
        Ok(HeldBy::Power)
    }

    fn means(&self) -> Means {
        self.means.lock().clone()
    }

    /// The power limit that stood before ours, where the present one is `now`.
    fn power_before(&self, now: MilliWatts) -> MilliWatts {
        match self.settings.lock().setting(&self.board) {
            Some(Setting::PowerLimit { before, .. }) => before,
            Some(Setting::LockedClock) | None => now,
        }
    }

    /// What is to be written down before the power limit changes from `now` to `next`. A limit that is neither ours nor
    /// what stood before is somebody else's, who is not fought.
    fn power_setting(&self, now: MilliWatts, next: MilliWatts) -> Result<Setting, SetError> {
        let mut settings = self.settings.lock();
        match settings.setting(&self.board) {
            Some(Setting::PowerLimit { before, ours }) if ours.contains(&now) || now == before => {
                Ok(Setting::PowerLimit { before, ours: vec![now, next] })
            }
            Some(Setting::PowerLimit { .. }) => {
                settings.clear(&self.board)?;
                let why = format!("somebody else has set the power limit to {} mW since", now.0);
                *self.means.lock() = Means::Nothing(why.clone());
                Err(Refusal::NotPermitted(why).into())
            }
            Some(Setting::LockedClock) | None => Ok(Setting::PowerLimit { before: now, ours: vec![next] }),
        }
    }

    async fn set(&self, setting: Setting, ask: Ask) -> Result<(), SetError> {
        let before = self.settings.lock().setting(&self.board);
        self.settings.lock().record(&self.board, setting)?;
        let outcome = done(self.reader.ask(&self.board, ask).await?);
        // Refused, nothing has changed; after any other failure nobody knows, and the entry stays.
        if matches!(outcome, Err(SetError::Refused(Refusal::NotPermitted(_) | Refusal::Unsupported(_)))) {
            let mut settings = self.settings.lock();
            match before {
                Some(before) => settings.record(&self.board, before)?,
                None => settings.clear(&self.board)?,
            }
        }
        outcome
    }
}

/// Undoes what is set on a board, and forgets it. A power limit that is not ours any more is left alone.
pub(super) async fn undo(reader: &Reader, settings: &Settings, board: &BoardId) -> Result<(), SetError> {
    let setting = settings.lock().setting(board);
    match setting {
        None => return Ok(()),
        Some(Setting::LockedClock) => match done(reader.ask(board, Ask::FreeClock).await?) {
            // A board that cannot lock its clock has none that is locked: it was written down, and not done.
            Err(SetError::Refused(Refusal::Unsupported(_))) => {}
            freed => freed?,
        },
        Some(Setting::PowerLimit { before, ours }) => {
            let now = power_limit(reader, board).await?;
            if ours.contains(&now) && now != before {
                done(reader.ask(board, Ask::SetPowerLimit(before)).await?)?;
            }
        }
    }
    Ok(settings.lock().clear(board)?)
}

async fn power_limit(reader: &Reader, board: &BoardId) -> Result<MilliWatts, SetError> {
    match reader.ask(board, Ask::PowerLimit).await? {
        Answer::Power(limit) => Ok(limit),
        Answer::Refused(refusal) => Err(refusal.into()),
        Answer::Reading(_) | Answer::Done => Err(SetError::Confused),
    }
}

fn done(answer: Answer) -> Result<(), SetError> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Refused(refusal) => Err(refusal.into()),
        Answer::Reading(_) | Answer::Power(_) => Err(SetError::Confused),
    }
}

/// The power limit that stands in for a clock: as far up its range as the clock is up its own, in whole watts. Power
/// grows faster than the clock, so the board will run somewhat faster than asked; a governor that sees it too warm asks
/// for less. The range ends at `before`, the limit that stood before ours: whoever set it may have lowered it for the
/// sake of a rack or a supply.
fn power_for(limits: &BoardLimits, before: MilliWatts, most: MegaHertz) -> Option<MilliWatts> {
    let most_power = limits.power_most?.0.min(before.0);
    let least_power = limits.power_least?.0.min(most_power);
    let (least_clock, most_clock) = (limits.clock_least?.0, limits.clock_most?.0);
    let span = u64::from(most_clock.checked_sub(least_clock).filter(|span| *span > 0)?);
    let up = u64::from(most.0.clamp(least_clock, most_clock) - least_clock);
    let power = u64::from(least_power) + u64::from(most_power - least_power) * up / span;
    let whole = u32::try_from(power).ok()? / WATT * WATT;
    // Rounded down, it may have left the range, whose lowest whole watt it is then. A range without any is left at its end.
    let least_whole = least_power.div_ceil(WATT).saturating_mul(WATT);
    Some(MilliWatts(whole.max(least_whole).min(most_power)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn limits()(power in 1_000_u32..500_000, range in 0_u32..500_000, clock in 1_u32..1_000, span in 1_u32..3_000)
            -> BoardLimits
        {
            BoardLimits {
                power_least: Some(MilliWatts(power)),
                power_most: Some(MilliWatts(power + range)),
                clock_least: Some(MegaHertz(clock)),
                clock_most: Some(MegaHertz(clock + span)),
                ..BoardLimits::default()
            }
        }
    }

    proptest! {
        #[test]
        fn a_lower_clock_never_gives_a_higher_power_limit_and_none_leaves_the_range(
            limits in limits(), one: u32, other: u32,
        ) {
            let before = limits.power_most.expect("a limit");
            let power = |clock| power_for(&limits, before, MegaHertz(clock)).expect("whole limits");
            let (low, high) = (power(one.min(other)), power(one.max(other)));
            prop_assert!(low <= high);
            prop_assert!(limits.power_least <= Some(low) && Some(high) <= limits.power_most);
        }

        #[test]
        fn no_clock_gives_more_power_than_stood_before(
            limits in limits(), before in 0_u32..1_200_000, clock: u32,
        ) {
            let before = MilliWatts(before);
            let power = power_for(&limits, before, MegaHertz(clock)).expect("whole limits");
            prop_assert!(power <= before && Some(power) <= limits.power_most);
            prop_assert!(Some(power) >= limits.power_least.min(Some(before)));
        }

        #[test]
        fn a_power_limit_is_whole_watts_wherever_the_range_has_one(limits in limits(), clock in 0_u32..4_000) {
            let (least, most) = (limits.power_least.expect("a limit"), limits.power_most.expect("a limit"));
            let power = power_for(&limits, most, MegaHertz(clock)).expect("whole limits");
            let has_a_whole_watt = least.0.div_ceil(WATT) <= most.0 / WATT;
            prop_assert_eq!(power.0.is_multiple_of(WATT), has_a_whole_watt);
        }
    }

    #[test]
    fn a_board_without_a_range_has_no_power_for_a_clock() {
        assert_eq!(power_for(&BoardLimits::default(), MilliWatts(500_000), MegaHertz(1000)), None);
    }
}
