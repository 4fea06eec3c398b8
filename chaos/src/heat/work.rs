//! Runs jobs on some threads and tells how far they are. The order of the results is that of the jobs, whoever ran them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// Runs all jobs on `threads` threads; `told` hears of each job that is done. Pure jobs only: nothing here is simulated
/// by anybody, so the operating system's threads are as good as any.
pub(super) fn run_all<J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    run: impl Fn(&J) -> R + Sync,
    told: &mut dyn FnMut(&J),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (sender, results) = channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (sender, next, run) = (sender.clone(), &next, &run);
            scope.spawn(move || {
                while let Some((at, job)) = take(jobs, next) {
                    if sender.send((at, run(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut done: Vec<(usize, R)> = Vec::with_capacity(jobs.len());
        for (at, result) in results {
            if let Some(job) = jobs.get(at) {
                told(job);
            }
            done.push((at, result));
        }
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, result)| result).collect()
    })
}

fn take<'a, J>(jobs: &'a [J], next: &AtomicUsize) -> Option<(usize, &'a J)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(at).map(|job| (at, job))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_jobs_and_each_is_told_once() {
        let jobs: Vec<u64> = (0..100).collect();
        let mut told = Vec::new();
        let results = run_all(&jobs, 3, |job| job * job, &mut |job| told.push(*job));
        assert_eq!(results, jobs.iter().map(|job| job * job).collect::<Vec<_>>());
        told.sort_unstable();
        assert_eq!(told, jobs);
        assert!(run_all(&Vec::<u64>::new(), 2, |job| *job, &mut |_| {}).is_empty());
    }
}
