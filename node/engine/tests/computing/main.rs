//! The compute half of the engine through its public door: files in, logits out.

#![cfg(test)]

mod exactness;
mod files;
mod golden;
mod loading;
mod models;
mod run;
mod synthetic;
