//! Board control through its public door, on simulated boards.

mod plant;
mod rig;

#[test]
fn look() {
    use helixflow_model::ClockControl::*;
    use helixflow_physics::*;
    use plant::*;
    use rig::*;
    for make in [
        Make::USUAL,
        Make { die_rise: 35.0, sink_rise: 40.0, ..Make::USUAL },
        Make {
            watts: 72.0,
            die_rise: 10.0,
            sink_rise: 50.0,
            die_seconds: 8.0,
            sink_seconds: 120.0,
            ..Make::USUAL
        },
    ] {
        for (name, inlet, amp) in [("warm", 38.0, 0.0), ("hot", 50.0, 0.0), ("sine", 38.0, 8.0)] {
            for load in [1.0, -1.0] {
                for control in [MonitorOnly, Governed] {
                    let mut rig = Rig::new(Plant::new(make, inlet), control);
                    let work = |t: f64| {
                        if load > 0.0 {
                            load
                        } else if (t / 45.0) as u32 % 2 == 0 {
                            1.0
                        } else {
                            0.2
                        }
                    };
                    let r =
                        rig.run(3600.0, work, |t| inlet + amp * (t / 600.0 * std::f64::consts::TAU).sin());
                    eprintln!(
                        "{name:5} die {:.0} load {load:4} {control:12}: hottest {:.1} throttled {:6.1} halved {:5.1} speed {:.3} flips {} turns {} orders {} {:?}",
                        make.die_rise,
                        r.hottest,
                        r.throttled,
                        r.halved,
                        r.speed,
                        r.flips(),
                        r.turns,
                        r.orders,
                        r.judged.map(|j| (
                            j.standing.band,
                            j.standing.speed.0,
                            j.standing.forecast.map(|f| f.0),
                            j.standing.duty
                        ))
                    );
                }
            }
        }
    }
    for p in PRODUCTS {
        for (name, inlet, amp) in [("warm", 38.0, 0.0), ("hot", 48.0, 0.0), ("sine", 40.0, 8.0)] {
            for (load, bound) in [(1.0, 0.2), (1.0, 0.7), (0.8, 0.5), (-1.0, 0.5)] {
                for control in [MonitorOnly, Governed] {
                    let board = Board::new(p, Surroundings { inlet, fans: 1.0 }, 7);
                    let mut rig = Rig::new(Product::new(board, bound), control);
                    let work = |t: f64| {
                        if load > 0.0 {
                            load
                        } else if (t / 45.0) as u32 % 2 == 0 {
                            1.0
                        } else {
                            0.2
                        }
                    };
                    let r =
                        rig.run(3600.0, work, |t| inlet + amp * (t / 600.0 * std::f64::consts::TAU).sin());
                    eprintln!(
                        "{name:5} {:6} load {load:4} {bound} {control:12}: hottest {:.1} throttled {:6.1} halved {:5.1} speed {:.3} flips {} turns {} orders {} {:?} {:?}",
                        p.key,
                        r.hottest,
                        r.throttled,
                        r.halved,
                        r.speed,
                        r.flips(),
                        r.turns,
                        r.orders,
                        r.judged.map(|j| (
                            j.standing.band,
                            j.standing.speed.0,
                            j.standing.forecast.map(|f| f.0),
                            j.standing.duty,
                            j.standing.control,
                            j.standing.target_clock
                        )),
                        rig.plant.board.truth()
                    );
                }
            }
        }
    }
}
