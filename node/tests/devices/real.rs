//! The machine's own NVIDIA GPUs, where there are any: what is promised of the library that plays NVML holds of the real one.

use std::sync::Arc;

use helixflow_control::Backoff;
use helixflow_env::disk::RealDisk;
use helixflow_model::DeviceKind;
use helixflow_node::device::Gpus;

use crate::child;
use crate::world::{PATIENCE, read, within};

#[tokio::test]
async fn the_gpus_of_this_machine_are_read_where_there_are_any() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let patience = helixflow_node::device::Patience {
        backoff: Backoff { first: std::time::Duration::from_secs(1), ..PATIENCE.backoff },
        ..PATIENCE
    };
    let gpus = Gpus::find(child::program(&[]), patience, Arc::new(RealDisk), folder.path());
    let gpus = within(gpus).await.expect("an empty journal");
    if gpus.boards().is_empty() {
        println!("this machine has no GPU that answers: nothing real was read");
    }
    for board in gpus.boards() {
        for _ in 0..10 {
            let reading = read(&board).await.expect("a reading");
            assert!(!reading.is_blind(), "{reading:?}");
            let core = reading.core.live().expect("a temperature");
            assert!((1_000..120_000).contains(&core.0), "{reading:?}");
            for device in &reading.devices {
                assert!(device.memory_used <= device.memory_total, "{device:?}");
            }
        }
        let (info, reading) = (board.info(), read(&board).await.expect("a reading"));
        if info.kind == DeviceKind::Nvidia {
            assert!(info.limits.slowdown.is_some() && info.limits.clock_most.is_some(), "{info:?}");
        }
        println!("read a real GPU: {info:?} {reading:?}");
    }
}
