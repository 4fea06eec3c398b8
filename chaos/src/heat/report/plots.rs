//! The plots: what a day brings, who throttles when, and how far each policy is from (b).

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, DrawingArea, ErrorBar, IntoDrawingArea, LineSeries, Palette,
    Palette99, PathElement, SVGBackend, WHITE,
};

use super::ReportError;
use crate::heat::{Figure, PartFindings, ScenarioFindings, Study};

/// Pixels of a plot.
const SIZE: (u32, u32) = (860, 360);
/// The title's font.
const TITLE: (&str, i32) = ("sans-serif", 17);
/// Further from (b) than this, in per cent, a policy would press all others onto one line: its figure is told in the title.
const FAR: f64 = 40.0;
/// Points of a curve over a day.
const POINTS: u32 = 288;

/// A plot as it is written.
pub(super) struct Plot {
    pub(super) file: String,
    pub(super) svg: String,
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// All plots of a study; their names begin with that of their scenario.
pub(super) fn all(study: &Study) -> Result<Vec<Plot>, ReportError> {
    let mut plots = Vec::new();
    for scenario in &study.scenarios {
        plots.push(plot(format!("{}-day.svg", scenario.name), |area| day(area, scenario))?);
        for part in &scenario.parts {
            let name = |what: &str| format!("{}-{}-{what}.svg", scenario.name, part.key);
            plots.push(plot(name("throttling"), |area| throttling(area, &scenario.name, part))?);
            for figure in [Figure::Goodput, Figure::P99Ttft, Figure::PeakRise, Figure::EnergyPerToken] {
                plots
                    .push(plot(name(figure.name()), |area| differences(area, &scenario.name, part, figure))?);
            }
        }
    }
    Ok(plots)
}

fn plot(file: String, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<Plot, ReportError> {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area)).and_then(|()| Ok(area.present()?))
    };
    match drawn {
        Ok(()) => Ok(Plot { file, svg }),
        Err(error) => Err(ReportError::Plot { name: file, what: error.to_string() }),
    }
}

/// Load and inlet over the day.
fn day(area: &Area<'_>, scenario: &ScenarioFindings) -> Drawn {
    let hours = || (0..=POINTS).map(|n| f64::from(n) * 24.0 / f64::from(POINTS));
    let (inlet, load) = (&scenario.scenario.inlet.celsius, &scenario.scenario.load.share);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: inlet (°C) and load (%)", scenario.name), TITLE)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..24.0, 0.0..100.0)?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("hour").draw()?;
    chart
        .draw_series(LineSeries::new(hours().map(|hour| (hour, inlet.at(hour))), Palette99::pick(0)))?
        .label("inlet, °C")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], Palette99::pick(0)));
    chart
        .draw_series(LineSeries::new(hours().map(|hour| (hour, load.at(hour) * 100.0)), Palette99::pick(2)))?
        .label("load, %")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], Palette99::pick(2)));
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}

/// Share of throttled boards by the time of day, a line a policy.
fn throttling(area: &Area<'_>, name: &str, part: &PartFindings) -> Drawn {
    let from = part.hours.iter().map(|(from, _)| *from).fold(24.0, f64::min).floor();
    let to = part.hours.iter().map(|(_, to)| *to).fold(0.0, f64::max).ceil();
    let highest =
        part.policies.iter().flat_map(|policy| &policy.by_quarter).flatten().copied().fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}, {} boards, {}: throttled boards (%)", part.boards, part.what), TITLE)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(44)
        .build_cartesian_2d(from..to, 0.0..(highest * 105.0).max(1.0))?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("hour").draw()?;
    for (at, policy) in part.policies.iter().enumerate() {
        let quarters = policy.by_quarter.iter().enumerate();
        let points = quarters
            .filter_map(|(quarter, share)| Some(((quarter as f64 + 0.5) / 4.0, share.as_ref()? * 100.0)));
        let within = points.filter(|(hour, _)| (from..to).contains(hour));
        chart
            .draw_series(LineSeries::new(within, Palette99::pick(at)))?
            .label(format!("({}) {}", policy.letter, policy.policy))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], Palette99::pick(at)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}

/// How far each policy is from (b) in a figure, with its interval, in per cent of (b)'s mean.
fn differences(area: &Area<'_>, name: &str, part: &PartFindings, figure: Figure) -> Drawn {
    let blind = part.policies.iter().find(|policy| policy.letter == 'b');
    let mean = blind
        .and_then(|policy| policy.runs.get(&figure))
        .map_or(0.0, |runs| super::super::Interval::of(runs).mean);
    let scale = if mean > 0.0 { 100.0 / mean } else { 0.0 };
    let (intervals, far): (Vec<_>, Vec<_>) = part
        .policies
        .iter()
        .enumerate()
        .filter_map(|(at, policy)| Some((at, policy.against_least_loaded.get(&figure)?)))
        .map(|(at, interval)| (at, interval.low * scale, interval.mean * scale, interval.high * scale))
        .partition(|(_, _, mean, _)| mean.abs() <= FAR);
    let far: String = far
        .iter()
        .filter_map(|(at, _, mean, _)| Some((part.policies.get(*at)?.letter, mean)))
        .map(|(letter, mean)| format!("; ({letter}) is off the scale, at {mean:+.0} %"))
        .collect();
    let span = spanned(intervals.iter().flat_map(|(_, low, _, high)| [*low, *high]));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}, {} boards: {} against (b), %{far}", part.boards, figure.name()), TITLE)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(-0.5..part.policies.len() as f64 - 0.5, span)?;
    let letter = |x: &f64| {
        let whole = (x - x.round()).abs() < 0.01 && *x > -0.5;
        let policy = part.policies.get(x.round().max(0.0) as usize).filter(|_| whole);
        policy.map_or(String::new(), |policy| format!("({})", policy.letter))
    };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(part.policies.len() * 2 + 1)
        .x_label_formatter(&letter)
        .draw()?;
    chart.draw_series(intervals.iter().map(|(at, low, mean, high)| {
        ErrorBar::new_vertical(*at as f64, *low, *mean, *high, Palette99::pick(*at).filled(), 12)
    }))?;
    chart.draw_series(
        intervals
            .iter()
            .map(|(at, _, mean, _)| Circle::new((*at as f64, *mean), 3, Palette99::pick(*at).filled())),
    )?;
    Ok(())
}

/// The range of values and zero, with some room around it.
fn spanned(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let room = ((high - low) * 0.1).max(0.05);
    low - room..high + room
}
