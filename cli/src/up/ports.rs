//! Whether the recorded ports are still free at a start.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use helixflow_env::Env;

use super::layout::Layout;

/// Names the first port of the layout that somebody else holds.
pub(crate) async fn check_free(env: &Env, layout: &Layout) -> anyhow::Result<()> {
    for (purpose, address) in layout.addresses() {
        let parsed: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
        if let Err(error) = env.network.bind(parsed).await {
            bail!(
                "{address}, the port for {purpose}, cannot be used ({error}): end the process that holds it, or name \
                 another directory with --data-dir"
            );
        }
    }
    Ok(())
}
