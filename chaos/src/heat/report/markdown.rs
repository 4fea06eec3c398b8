//! The page that people read.

use std::collections::BTreeMap;
use std::fmt::Write;

use helixflow_simulator::Cap;

use crate::heat::{Beside, Figure, Interval, PartFindings, PolicyFindings, ScenarioFindings, Study};

/// What the page says of the method, whatever the figures.
const METHOD: &str = "\
Boards are the physical model of `helixflow-physics`, engines a model of continuous batching. Governor and routing are the
code that runs in production. Policies: (a) round-robin, (b) least-loaded, thermally blind, (c) power of two choices, (d) a
static clock cap, (e) a static power cap, (f) HelixFlow, (g) HelixFlow with the thermal term of its routing at zero. Others
take (f) apart: (h) its governor under the routing of (b); (i) the routing of (b) where a prompt that is still to be computed
counts as eight requests, blind to heat, and with the best of all boards where (f) takes the best of three; (j) the routing of
(f) over boards that it only watches, whose clocks are capped as (d)'s are, with the cap that is best under that routing; (k)
the same where each board has a clock cap of its own, at which its die would rise by so many degrees if it worked without a
pause (peaks are some degrees above); (l) HelixFlow where no clock may be set.

Under one seed all see the same requests, boards and air, so differences are paired: given are their means with intervals of
95 % (Student's t over seeds). Where a part has several hours, each seed is another of them. Good is a request whose first
token and whose mean gap between tokens keep to what its product can do with a full batch; one that is refused, or that does
not end while it could still be good, is not. The p99 is of those that end, and its mean over the seeds is shown. Throttling is
software or hardware slowdown for heat (0x20, 0x40); power capping, power brake and clocks that were asked for are told apart.
The clock lost is what boards at work lacked of the highest clock, whatever held it down; their speed falls by less, since part
of their work waits for memory. A scenario counts where (b) throttles for more than 2 % of the boards' time at 70 to 90 % load.
Caps are chosen from a small grid on the peak hour of the scenario itself, at the smallest size and with another seed, and serve
at every size: of (d), (e) and (j) those within 0.01 % of the best goodput, of these the one that throttles least, and of these
the one with the lowest p99; of (k) the lowest rise at which goodput (within 0.01 %) and p99 (within 2 %) are no worse than
(b)'s.

What production does otherwise: several gateways, each of which knows at once of its own requests alone, where here one knows
of all; nodes that report one to four times a second, each for itself, where here all do once a second, and reports that grow
old or are lost, where here none is older than a second and its age counts as nothing; readings up to ten times a second, where
here they are taken at most twice; orders of the governor that take their time or are refused, where here they are obeyed at
once; placement and relief, which are not here. The energy is that of the boards, without fans and servers.
";

/// The page, with links to the plots of these names.
pub(super) fn markdown<'a>(study: &Study, plots: impl Iterator<Item = &'a str>) -> String {
    let plots: Vec<&str> = plots.collect();
    let mut page = format!("# The heat study\n\n{METHOD}\n");
    let machine = &study.machine;
    line(
        &mut page,
        format_args!(
            "Seeds 1 to {}, {:.0} s on {} threads. Machine: {}, {} cores, {:.1} GiB, Linux {}, load {} before.\n",
            study.seeds,
            study.wall_seconds,
            study.threads,
            machine.cpu,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            machine.load_before
        ),
    );
    verdicts(&mut page, study);
    for scenario in &study.scenarios {
        line(&mut page, format_args!("## {}\n", scenario.name));
        for plot in plots.iter().filter(|plot| plot.starts_with(&scenario.name)) {
            line(&mut page, format_args!("![{plot}]({plot})\n"));
        }
        scenario.parts.iter().for_each(|part| part_tables(&mut page, part));
        trials(&mut page, scenario);
    }
    page
}

/// Writing into a string never fails.
fn line(page: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{words}");
}

fn verdicts(page: &mut String, study: &Study) {
    line(page, format_args!("## Bars and goals\n"));
    line(page, format_args!("| scenario | part | asked | found | |\n|---|---|---|---|---|"));
    for scenario in &study.scenarios {
        for part in &scenario.parts {
            for check in &part.checks {
                let kind = if check.is_bar { "bar" } else { "goal" };
                let verdict = match (part.counts, check.holds) {
                    (false, _) => "does not count",
                    (true, true) => "met",
                    (true, false) => "**missed**",
                };
                line(
                    page,
                    format_args!(
                        "| {} | {} | {kind}: {} | {} | {verdict} |",
                        scenario.name, part.key, check.what, check.found
                    ),
                );
            }
        }
    }
    line(page, format_args!(""));
}

fn part_tables(page: &mut String, part: &PartFindings) {
    let hours: Vec<String> = part.hours.iter().map(|(from, to)| format!("{from:.2} to {to:.2}")).collect();
    line(
        page,
        format_args!(
            "### {} boards, {}\n\nHours {}; {} seeds; {} requests a policy. (b) throttles for {:.2} % of the boards' time at 70 to 90 % load.\n",
            part.boards,
            part.what,
            hours.join(", "),
            part.seeds,
            part.requests,
            part.least_loaded_throttles * 100.0
        ),
    );
    line(
        page,
        format_args!(
            "| policy | throttled, s | of it hard, s | power cap, s | brake, s | on request, s | clock lost | speed | peak rise, K | mean rise, K | good/s | of offered | p99 TTFT, s | J/token | refused | turned off |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        ),
    );
    part.policies.iter().for_each(|policy| policy_row(page, policy));
    differences(page, "from (b)", part, 'b', |policy| &policy.against_least_loaded);
    differences(page, "of (f) from each", part, 'f', |policy| &policy.helixflow_against);
}

/// A table of differences, one row a policy but `without`.
fn differences(
    page: &mut String,
    which: &str,
    part: &PartFindings,
    without: char,
    of: impl Fn(&PolicyFindings) -> &BTreeMap<Figure, Interval>,
) {
    line(page, format_args!("\nDifferences {which}, with intervals of 95 %:\n"));
    let names: Vec<String> =
        Figure::ALL.iter().map(|figure| format!("{}, {}", figure.name(), figure.unit())).collect();
    line(page, format_args!("| policy | {} |\n|---|{}", names.join(" | "), "--:|".repeat(Figure::ALL.len())));
    for policy in part.policies.iter().filter(|policy| policy.letter != without) {
        let cells = of(policy).values().map(interval);
        line(page, format_args!("| {} | {} |", named(policy), cells.collect::<Vec<_>>().join(" | ")));
    }
    line(page, format_args!(""));
}

fn policy_row(page: &mut String, policy: &PolicyFindings) {
    let mean = |figure| policy.runs.get(&figure).map_or(0.0, |runs| Interval::of(runs).mean);
    let Beside { hardware_seconds, power_cap_seconds, power_brake_seconds, requested_seconds, .. } =
        policy.beside;
    let Beside { clock_lost, speed, mean_rise, offered, refused, turned_off, .. } = policy.beside;
    let goodput = mean(Figure::Goodput);
    line(
        page,
        format_args!(
            "| {} | {:.0} | {hardware_seconds:.0} | {power_cap_seconds:.0} | {power_brake_seconds:.0} | {requested_seconds:.0} | {:.2} % | {:.2} % | {:.1} | {mean_rise:.1} | {goodput:.3} | {:.3} % | {:.3} | {:.3} | {refused:.0} | {turned_off:.1} |",
            named(policy),
            mean(Figure::ThrottleSeconds),
            clock_lost * 100.0,
            speed * 100.0,
            mean(Figure::PeakRise),
            goodput / offered.max(f64::MIN_POSITIVE) * 100.0,
            mean(Figure::P99Ttft),
            mean(Figure::EnergyPerToken),
        ),
    );
}

fn named(policy: &PolicyFindings) -> String {
    let cap = policy.cap.map_or(String::new(), |cap| format!(" at {}", capped(cap)));
    format!("({}) {}{cap}", policy.letter, policy.policy)
}

fn capped(cap: Cap) -> String {
    match cap {
        Cap::Clock(share) | Cap::Power(share) => format!("{:.0} %", share * 100.0),
        Cap::Rise(kelvin) => format!("{kelvin:.1} K"),
    }
}

fn interval(interval: &Interval) -> String {
    let Interval { mean, low, high } = *interval;
    let digits = if mean.abs() >= 100.0 { 0 } else { 4 };
    format!("{mean:+.digits$} ({low:+.digits$} to {high:+.digits$})")
}

fn trials(page: &mut String, scenario: &ScenarioFindings) {
    let below = |rise: f64| (1.0 - rise / scenario.blind_rise.max(f64::MIN_POSITIVE)) * 100.0;
    let least = scenario.lowest_serving_rise.map_or(String::new(), |rise| {
        format!(
            " However clocks differ, boards that work without a pause and rise by about {rise:.0} K, {:.0} % less than (b)'s highest, \
             can just compute what is asked of them on average, however long it waits.",
            below(rise)
        )
    });
    line(
        page,
        format_args!(
            "### What was tried before\n\n{:.1} hours of the peak at the smallest size, with a seed of its own.{least} Of what was \
             tried and is no worse than (b) in goodput (within 0.01 %) and p99 (within 2 %), the lowest rise is {:.1} K, {:.0} % below \
             (b)'s.\n",
            scenario.trial_hours,
            scenario.rise_within_bars,
            below(scenario.rise_within_bars)
        ),
    );
    line(
        page,
        format_args!(
            "| policy | cap | good/s | p99 TTFT, s | throttled, s | peak rise, K | |\n|---|--:|--:|--:|--:|--:|---|"
        ),
    );
    for trial in &scenario.trials {
        line(
            page,
            format_args!(
                "| ({}) | {} | {:.3} | {:.3} | {:.0} | {:.1} | {} |",
                trial.letter,
                trial.cap.map_or(String::new(), capped),
                trial.goodput,
                trial.p99_ttft,
                trial.throttle_seconds,
                trial.rise,
                if trial.chosen && trial.cap.is_some() { "taken" } else { "" }
            ),
        );
    }
    line(page, format_args!(""));
}
