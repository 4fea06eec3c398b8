//! How a model's file comes to a machine, tried against servers, programs and disks that misbehave.
#![expect(clippy::expect_used, clippy::panic, reason = "what these tests share fails them by a panic")]
#![expect(clippy::disallowed_methods, reason = "these tests are about files on a real disk")]

mod disk;
mod hub;
mod hub_server;
mod pip;
mod sharing;
mod world;
