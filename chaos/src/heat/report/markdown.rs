//! The page that people read.

use std::fmt::Write;

use crate::heat::{Beside, Figure, Interval, PartFindings, PolicyFindings, ScenarioFindings, Study};

/// What the page says of the method, whatever the figures.
const METHOD: &str = "\
Boards are the physical model of `helixflow-physics`, engines a model of continuous batching. Governor and routing are the
code that runs in production. Policies: (a) round-robin, (b) least-loaded, thermally blind, (c) power of two choices, (d) a
static clock cap, (e) a static power cap, (f) HelixFlow, (g) HelixFlow with the thermal term of its routing at zero. Under
one seed all see the same requests, boards and air, so differences are paired: given are their means with intervals of 95 %
(Student's t over seeds). One gateway takes all requests, so all know how many are at each board, exactly and at once; (f)
and (g) besides know of which the first token is still to come, as one gateway does and as several do of their own requests
alone. What reports tell is up to a second old. The caps of (d) and (e) are chosen from a small grid on the scenario itself:
of those within 0.1 % of the best goodput the one that throttles least. Every clock may be set, and orders are obeyed at
once; there is no placement, no relief, no report that is lost. Good is a request whose first token and whose mean gap
between tokens keep to what its product can do with a full batch; one that is refused, or that does not end while it could
still be good, is not. The p99 is of those that end, and its mean over the seeds is shown. Throttling is software or
hardware slowdown for heat (0x20, 0x40); power capping, power brake and the clock that was given up on request are told
apart. A scenario counts where (b) throttles for more than 2 % of the boards' time at 70 to 90 % load.
";

/// The page, with links to the plots of these names.
pub(super) fn markdown<'a>(study: &Study, plots: impl Iterator<Item = &'a str>) -> String {
    let plots: Vec<&str> = plots.collect();
    let mut page = format!("# The heat study\n\n{METHOD}\n");
    let machine = &study.machine;
    line(
        &mut page,
        format_args!(
            "Seeds 1 to {} (fewer where a part says so), {:.0} s on {} threads. Machine: {}, {} cores, {:.1} GiB, Linux {}, load {} before.\n",
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
    line(page, format_args!("| scenario | boards | asked | found | |\n|---|--:|---|---|---|"));
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
                        scenario.name, part.boards, check.what, check.found
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
            "| policy | throttled, s | of it hard, s | power cap, s | brake, s | on request, s | clock given up, s | peak rise, K | mean rise, K | good/s | of offered | p99 TTFT, s | J/token | refused | turned off |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        ),
    );
    part.policies.iter().for_each(|policy| policy_row(page, policy));
    line(page, format_args!("\nDifferences from (b), with intervals of 95 %:\n"));
    let names: Vec<String> =
        Figure::ALL.iter().map(|figure| format!("{}, {}", figure.name(), figure.unit())).collect();
    line(page, format_args!("| policy | {} |\n|---|{}", names.join(" | "), "--:|".repeat(Figure::ALL.len())));
    for policy in part.policies.iter().filter(|policy| policy.letter != 'b') {
        let cells = policy.against_least_loaded.values().map(interval);
        line(page, format_args!("| {} | {} |", named(policy), cells.collect::<Vec<_>>().join(" | ")));
    }
    line(page, format_args!(""));
}

fn policy_row(page: &mut String, policy: &PolicyFindings) {
    let mean = |figure| policy.runs.get(&figure).map_or(0.0, |runs| Interval::of(runs).mean);
    let Beside { hardware_seconds, power_cap_seconds, power_brake_seconds, requested_seconds, .. } =
        policy.beside;
    let Beside { given_up_seconds, mean_rise, offered, refused, turned_off, .. } = policy.beside;
    let goodput = mean(Figure::Goodput);
    line(
        page,
        format_args!(
            "| {} | {:.0} | {hardware_seconds:.0} | {power_cap_seconds:.0} | {power_brake_seconds:.0} | {requested_seconds:.0} | {given_up_seconds:.0} | {:.1} | {mean_rise:.1} | {goodput:.3} | {:.3} % | {:.3} | {:.3} | {refused:.0} | {turned_off:.1} |",
            named(policy),
            mean(Figure::ThrottleSeconds),
            mean(Figure::PeakRise),
            goodput / offered.max(f64::MIN_POSITIVE) * 100.0,
            mean(Figure::P99Ttft),
            mean(Figure::EnergyPerToken),
        ),
    );
}

fn named(policy: &PolicyFindings) -> String {
    let cap = policy.cap.map_or(String::new(), |cap| format!(" at {:.0} %", cap * 100.0));
    format!("({}) {}{cap}", policy.letter, policy.policy)
}

fn interval(interval: &Interval) -> String {
    let Interval { mean, low, high } = *interval;
    let digits = if mean.abs() >= 100.0 { 0 } else { 4 };
    format!("{mean:+.digits$} ({low:+.digits$} to {high:+.digits$})")
}

fn trials(page: &mut String, scenario: &ScenarioFindings) {
    line(
        page,
        format_args!(
            "### What was tried before\n\n{:.1} hours of the peak at the smallest size, with a seed of its own. At a static clock of {:.1} % the boards can just \
             compute what is asked of them, however long it waits; the rise is then {:.1} K. That bounds clocks that are the same for \
             all boards, and no others. (f) at a cap is its routing over boards whose clock \
             somebody else holds down, which its governor leaves to them. Of what was tried and is no worse than (b) in goodput \
             (within 0.1 %) and p99 (within 2 %), the lowest rise is {:.1} K, {:.0} % below (b)'s.\n",
            scenario.trial_hours,
            scenario.rise_bound_clock * 100.0,
            scenario.rise_bound,
            scenario.rise_within_bars,
            (1.0 - scenario.rise_within_bars / scenario.blind_rise().max(f64::MIN_POSITIVE)) * 100.0
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
                "| ({}) | {:.1} % | {:.3} | {:.3} | {:.0} | {:.1} | {} |",
                trial.letter,
                trial.cap * 100.0,
                trial.goodput,
                trial.p99_ttft,
                trial.throttle_seconds,
                trial.rise,
                if trial.chosen && trial.letter != 'b' { "taken" } else { "" }
            ),
        );
    }
    line(page, format_args!(""));
}
