//! The one binary `helixflow`.

fn main() {}
