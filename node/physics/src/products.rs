//! The products that can be simulated, and where their figures come from.
//!
//! Facts: clocks, power limits and temperatures of the vendors' tools (`nvidia-smi -q`, `amd-smi static`) and data
//! sheets, as named beside each. Estimates, for no vendor publishes them: thermal resistances and capacities, how power
//! parts into switching, leakage, memory and the rest, the voltage curve and the fans' curve. They were chosen so that
//! the whole agrees with what is known of the product: power at rest, the clock that a dense matrix product holds at
//! the power limit, and a die between 65 and 80 °C at the power limit with air of 25 °C.

use crate::parameters::{Clocks, Cooling, Node, Parameters, Power, Temperatures, Thermal, Vendor};

/// All products.
pub const PRODUCTS: [Parameters; 4] = [H100_SXM, A100_SXM, L4, MI300X];

/// Fans of an air-cooled GPU server: slow up to 50 °C, at full speed from 80 °C. An estimate.
const SERVER_FANS: Cooling = Cooling { least: 0.3, low: 50.0, high: 80.0, draught: 0.2 };

/// NVIDIA H100 SXM5, 80 GB of HBM3.
///
/// Facts: 700 W, 200 W at the least, 1980 MHz (`nvidia-smi -q`; the data sheet has the 700 W). The tool tells
/// temperatures as margins: 57 at 30 °C puts the operating limit at 87, the slowdown lies 2 above, the shutdown 8
/// above. Memory 95 °C (the tool's maximum operating temperature of HBM). About 70 W at rest without a program, about
/// 100 W with one.
pub const H100_SXM: Parameters = Parameters {
    key: "h100",
    name: "NVIDIA H100 80GB HBM3",
    vendor: Vendor::Nvidia,
    clocks: Clocks { least: 210.0, most: 1980.0, step: 15.0, idle: 345.0, memory: 2619.0 },
    power: Power {
        least: 200.0,
        most: 700.0,
        other: 30.0,
        memory_idle: 15.0,
        memory_busy: 75.0,
        core: 650.0,
        leakage: 58.0,
        voltage_floor: 0.6,
    },
    thermal: Thermal {
        die: Node { capacity: 90.0, resistance: 0.030 },
        memory: Node { capacity: 40.0, resistance: 0.25 },
        sink: Node { capacity: 900.0, resistance: 0.036 },
    },
    cooling: SERVER_FANS,
    limits: Temperatures {
        operating: 87.0,
        slowdown: 89.0,
        shutdown: 95.0,
        memory: 95.0,
        memory_shutdown: 110.0,
    },
    tells_memory: true,
    tells_margin: true,
};

/// NVIDIA A100 SXM4, 80 GB of HBM2e.
///
/// Facts: 400 W, 100 W at the least, 1410 MHz, 85, 89 and 92 °C, memory 95 °C (`nvidia-smi -q`; the data sheet has the
/// 400 W). It tells no margin. About 55 W at rest.
pub const A100_SXM: Parameters = Parameters {
    key: "a100",
    name: "NVIDIA A100-SXM4-80GB",
    vendor: Vendor::Nvidia,
    clocks: Clocks { least: 210.0, most: 1410.0, step: 15.0, idle: 210.0, memory: 1593.0 },
    power: Power {
        least: 100.0,
        most: 400.0,
        other: 25.0,
        memory_idle: 14.0,
        memory_busy: 48.0,
        core: 335.0,
        leakage: 34.0,
        voltage_floor: 0.6,
    },
    thermal: Thermal {
        die: Node { capacity: 80.0, resistance: 0.045 },
        memory: Node { capacity: 35.0, resistance: 0.32 },
        sink: Node { capacity: 700.0, resistance: 0.055 },
    },
    cooling: SERVER_FANS,
    limits: Temperatures {
        operating: 85.0,
        slowdown: 89.0,
        shutdown: 92.0,
        memory: 95.0,
        memory_shutdown: 110.0,
    },
    tells_memory: true,
    tells_margin: false,
};

/// NVIDIA L4, 24 GB of GDDR6, one slot, no fan of its own.
///
/// Facts: 72 W, 2040 MHz (data sheet), 40 W at the least, no memory temperature, margins of 2 to the slowdown and 5 to
/// the shutdown as its generation tells them (`nvidia-smi -q`). The operating limit of 85 °C is an estimate, and so are
/// the memory's limits. The narrow sink leaves the die warm: 70 to 80 °C at the power limit is what servers show.
pub const L4: Parameters = Parameters {
    key: "l4",
    name: "NVIDIA L4",
    vendor: Vendor::Nvidia,
    clocks: Clocks { least: 210.0, most: 2040.0, step: 15.0, idle: 210.0, memory: 6251.0 },
    power: Power {
        least: 40.0,
        most: 72.0,
        other: 9.0,
        memory_idle: 2.5,
        memory_busy: 10.0,
        core: 95.0,
        leakage: 7.0,
        voltage_floor: 0.55,
    },
    thermal: Thermal {
        die: Node { capacity: 25.0, resistance: 0.20 },
        memory: Node { capacity: 20.0, resistance: 0.9 },
        sink: Node { capacity: 130.0, resistance: 0.43 },
    },
    cooling: SERVER_FANS,
    limits: Temperatures {
        operating: 85.0,
        slowdown: 87.0,
        shutdown: 90.0,
        memory: 100.0,
        memory_shutdown: 115.0,
    },
    tells_memory: false,
    tells_margin: true,
};

/// AMD Instinct MI300X, 192 GB of HBM3; the die's temperature is that of its hottest spot.
///
/// Facts: 750 W, 2100 MHz (data sheet), 132 MHz at the least (clock levels of `amd-smi`), hottest spot 100 °C and 110 °C
/// (slowdown and shutdown of `amd-smi static`), memory 95 °C and 105 °C, about 140 W at rest. AMD calls slowdown what is
/// gentle here; that its hardware halves the clock at 105 °C, and the lowest power limit, are estimates.
pub const MI300X: Parameters = Parameters {
    key: "mi300x",
    name: "AMD Instinct MI300X",
    vendor: Vendor::Amd,
    clocks: Clocks { least: 132.0, most: 2100.0, step: 12.0, idle: 132.0, memory: 1300.0 },
    power: Power {
        least: 200.0,
        most: 750.0,
        other: 75.0,
        memory_idle: 35.0,
        memory_busy: 100.0,
        core: 620.0,
        leakage: 75.0,
        voltage_floor: 0.6,
    },
    thermal: Thermal {
        die: Node { capacity: 130.0, resistance: 0.040 },
        memory: Node { capacity: 70.0, resistance: 0.20 },
        sink: Node { capacity: 1000.0, resistance: 0.034 },
    },
    cooling: Cooling { high: 85.0, ..SERVER_FANS },
    limits: Temperatures {
        operating: 100.0,
        slowdown: 105.0,
        shutdown: 110.0,
        memory: 95.0,
        memory_shutdown: 105.0,
    },
    tells_memory: true,
    tells_margin: false,
};
