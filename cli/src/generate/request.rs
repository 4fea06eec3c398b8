//! The options that shape an answer, shared by `generate` and `chat`.

use anyhow::bail;
use helixflow_client::Client;
use helixflow_proto::v1::Sampling;

/// Model and sampling. What cannot be is refused by the service, which names the field.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Parameters {
    /// Which model answers [default: the only one served]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// The same seed, prompt and model give the same answer [default: drawn, and told by generate --json]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Stop after this many tokens
    #[arg(long, value_name = "N", default_value_t = 256, allow_negative_numbers = true)]
    max_tokens: u32,
    /// 0 always takes the likeliest token; higher is more varied
    #[arg(long, value_name = "T", default_value_t = 0.0, allow_negative_numbers = true)]
    temperature: f32,
    /// Choose only among the likeliest tokens that reach this probability together
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Stop before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
}

impl Parameters {
    /// The sampling part of a request.
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling {
            temperature: Some(self.temperature),
            top_p: self.top_p,
            max_tokens: Some(self.max_tokens),
            stop: self.stop.clone(),
            ..Default::default()
        }
    }

    /// The model that was named, or the only one that the cluster serves.
    pub(crate) async fn model(&self, client: &Client) -> anyhow::Result<String> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let status = client.status().await?;
        let mut ids: Vec<String> = status.models.into_iter().filter_map(|m| m.model).map(|m| m.id).collect();
        ids.dedup();
        match ids.as_slice() {
            [only] => Ok(only.clone()),
            [] => bail!("the cluster serves no model yet: see `helixflow status`"),
            several => {
                bail!("the cluster serves several models: name one with --model ({})", several.join(", "))
            }
        }
    }
}
