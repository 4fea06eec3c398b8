//! The latest report as gauges, set when somebody asks: an idle node spends nothing on them.

use helixflow_actors::{ActorKind, ActorReport};
use helixflow_model::{BoardReport, DeviceReading, NodeReport, ReplicaPhase, ReplicaReport};
use metrics::gauge;

/// Sets every gauge to what the report says.
pub(crate) fn set(report: &NodeReport) {
    report.boards.iter().for_each(board);
    report.replicas.iter().for_each(replica);
}

/// Sets how many messages wait in the mailboxes of each kind of actor.
pub(crate) fn mailboxes(tree: &ActorReport) {
    let actors = tree.all();
    for kind in ActorKind::ALL {
        let waiting: usize =
            actors.iter().filter(|actor| actor.kind == kind).map(|actor| actor.mailbox).sum();
        gauge!("helixflow_actor_mailbox_depth", "actor" => kind.as_str()).set(waiting as f64);
    }
}

fn board(report: &BoardReport) {
    let labels = [("board", report.info.board.to_string()), ("name", report.info.name.clone())];
    let reading = &report.reading;
    if let Some(core) = reading.core.live() {
        gauge!("helixflow_gpu_temperature_celsius", &labels).set(f64::from(core.0) / 1000.0);
    }
    let sum = |bytes: fn(&DeviceReading) -> u64| reading.devices.iter().map(bytes).sum::<u64>() as f64;
    gauge!("helixflow_gpu_memory_total_bytes", &labels).set(sum(|device| device.memory_total.0));
    gauge!("helixflow_gpu_memory_used_bytes", &labels).set(sum(|device| device.memory_used.0));
    if let Some(power) = reading.power.live() {
        gauge!("helixflow_gpu_power_watts", &labels).set(f64::from(power.0) / 1000.0);
    }
    if let Some(utilization) = reading.utilization.live() {
        gauge!("helixflow_gpu_utilization_ratio", &labels).set(f64::from(utilization.0) / 1000.0);
    }
}

fn replica(report: &ReplicaReport) {
    let labels = [("model", report.model.to_string()), ("replica", report.fence.replica.to_string())];
    let is_ready = f64::from(u8::from(report.phase == ReplicaPhase::Ready));
    let load = report.load;
    gauge!("helixflow_replica_ready", &labels).set(is_ready);
    gauge!("helixflow_queue_depth", &labels).set(f64::from(load.queued));
    gauge!("helixflow_active_sequences", &labels).set(f64::from(load.active));
    gauge!("helixflow_kv_pages_free", &labels).set(f64::from(load.kv_pages_free));
    gauge!("helixflow_kv_pages", &labels).set(f64::from(load.kv_pages_total));
    gauge!("helixflow_prefill_backlog_tokens", &labels).set(f64::from(load.prefill_backlog));
    gauge!("helixflow_tokens_per_second", &labels).set(load.millitokens_per_second as f64 / 1000.0);
}
