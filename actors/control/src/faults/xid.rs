//! What each of NVIDIA's fault codes (XID) means for us.
//!
//! Names and causes follow NVIDIA's "XID Errors" document and its catalog of XIDs; what we do is our own reading of its
//! recommended actions. A code that is not in the table counts as one to watch: it is neither ignored nor believed
//! alone.

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// Nothing: an application's fault, or the cleaning up after one.
    Nothing,
    /// It is counted; several in an hour drain the board.
    Watch,
    /// The board is drained: it works, and needs care soon.
    Drain,
    /// The board is quarantined, and comes back by probation.
    Quarantine,
    /// The board is quarantined until it or its machine is reset and the node started again.
    Reset,
    /// The board is quarantined, and is to be looked at and most likely exchanged.
    Exchange,
}

/// One code and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid {
    /// The driver's number.
    pub code: u32,
    /// NVIDIA's words for it.
    pub name: &'static str,
    /// What follows.
    pub consequence: Consequence,
}

/// The meaning of a code.
pub fn xid(code: u32) -> Xid {
    let unknown = Xid { code, name: "unknown", consequence: Consequence::Watch };
    TABLE.binary_search_by_key(&code, |row| row.code).map_or(unknown, |at| TABLE[at])
}

const fn row(code: u32, consequence: Consequence, name: &'static str) -> Xid {
    Xid { code, name, consequence }
}

use Consequence::{Drain, Exchange, Nothing, Quarantine, Reset, Watch};

/// Sorted by code.
const TABLE: &[Xid] = &[
    row(8, Nothing, "GPU stopped processing: the application is started again"),
    row(11, Nothing, "invalid or corrupted push buffer stream"),
    row(13, Nothing, "graphics engine exception: mostly an address outside an array"),
    row(25, Nothing, "invalid or illegal push buffer stream"),
    row(31, Nothing, "GPU memory page fault: mostly an application's wrong address"),
    row(32, Watch, "invalid or corrupted push buffer stream: mostly the quality of the PCIe link"),
    row(37, Nothing, "driver firmware error: a method that it does not know"),
    row(38, Watch, "driver firmware error: its watchdog"),
    row(39, Watch, "copy engine exception"),
    row(40, Watch, "copy engine exception"),
    row(41, Watch, "copy engine exception"),
    row(43, Nothing, "GPU stopped processing: an application's fault, the GPU is well"),
    row(44, Watch, "graphics engine fault during a context switch"),
    row(45, Nothing, "preemptive clean-up, after an earlier error or an application that was ended"),
    row(46, Reset, "GPU stopped processing"),
    row(48, Reset, "double bit ECC error"),
    row(54, Exchange, "auxiliary power is not connected to the board"),
    row(58, Quarantine, "unstable video memory interface (boards before Ampere)"),
    row(60, Watch, "video processor exception"),
    row(61, Watch, "internal micro-controller breakpoint (boards before Ampere)"),
    row(62, Reset, "internal micro-controller halt"),
    row(63, Watch, "memory row remapped, or to be at the next reset: the board then tells that it waits"),
    row(64, Exchange, "memory row could not be remapped"),
    row(66, Watch, "illegal access by the driver"),
    row(67, Watch, "illegal access by the driver"),
    row(68, Watch, "video decoder exception"),
    row(69, Nothing, "graphics engine class error"),
    row(74, Drain, "NVLink error, here or at the other end: cleared by a reset"),
    row(78, Watch, "vGPU start error"),
    row(79, Exchange, "GPU has fallen off the bus"),
    row(80, Watch, "corrupted data sent to the GPU"),
    row(92, Drain, "high rate of single-bit ECC errors"),
    row(93, Watch, "non-fatal violation of the provisioned InfoROM wear limit"),
    row(94, Drain, "contained memory error: one application is lost, a reset is due when convenient"),
    row(95, Reset, "uncontained memory error"),
    row(106, Nothing, "SMBPBI test message"),
    row(107, Nothing, "SMBPBI test message, silent"),
    row(109, Reset, "context switch timeout"),
    row(110, Reset, "security fault"),
    row(119, Reset, "timeout of a call to the GPU's system processor (GSP)"),
    row(120, Reset, "error of the GPU's system processor (GSP)"),
    row(121, Watch, "corrected errors on the link to the CPU (C2C)"),
    row(136, Drain, "NVLink training failed"),
    row(137, Watch, "NVLink privilege error: mostly an application's wrong address on another board"),
    row(140, Reset, "unrecovered ECC error"),
    row(141, Watch, "CUDA fast path error"),
    row(143, Reset, "GPU initialization error"),
    row(144, Drain, "NVLink error: SAW"),
    row(145, Drain, "NVLink error: RLW"),
    row(146, Drain, "NVLink error: TLW"),
    row(147, Drain, "NVLink error: TREX"),
    row(148, Drain, "NVLink error: NVLPW_CTRL"),
    row(149, Drain, "NVLink error: NETIR"),
    row(150, Drain, "NVLink error: MSE"),
    row(154, Drain, "the recovery that the GPU needs has changed: comes with another code"),
    row(155, Watch, "NVLink error defined by software: intended losses of a link also tell it"),
    row(156, Drain, "a resource is retired at the next reset"),
    row(157, Drain, "a resource could not be retired: work goes on, and may meet it again"),
    row(158, Reset, "fatal timeout of the GPU"),
    row(160, Watch, "a memory channel was retired"),
    row(161, Watch, "a memory channel could not be retired"),
    row(167, Reset, "fatal timeout on PCIe"),
    row(169, Reset, "internal micro-controller halt"),
    row(171, Watch, "details of an uncorrectable DRAM error, beside code 48"),
    row(172, Watch, "details of an uncorrectable SRAM error, beside code 48"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_code_once() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn an_applications_faults_cost_the_board_nothing() {
        for code in [13, 31, 43, 45] {
            assert_eq!(xid(code).consequence, Nothing, "{code}");
        }
    }

    #[test]
    fn faults_of_the_hardware_take_the_board_out_of_service() {
        for code in [48, 64, 79, 95, 119, 120] {
            assert!(xid(code).consequence >= Quarantine, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_watched() {
        assert_eq!(xid(9999), Xid { code: 9999, name: "unknown", consequence: Watch });
    }
}
