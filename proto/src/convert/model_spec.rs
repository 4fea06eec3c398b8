//! Models and the sources of their files.

use helixflow_model::{Architecture, Bytes, ModelId, ModelSource, ModelSpec, Requirements};

use super::BadMessage;
use crate::v1;
use crate::v1::model_source::Source;

impl From<ModelSpec> for v1::ModelSpec {
    fn from(spec: ModelSpec) -> Self {
        Self {
            id: spec.id.to_string(),
            version: spec.version,
            architecture: spec.architecture.to_string(),
            layers: spec.layers,
            context: spec.context,
            memory_bytes: spec.memory.0,
            sha256: spec.sha256,
            size_bytes: spec.size.0,
            sources: spec.sources.into_iter().map(Into::into).collect(),
            replicas: spec.replicas,
            requires: (!spec.requires.is_empty()).then(|| spec.requires.into()),
        }
    }
}

impl TryFrom<v1::ModelSpec> for ModelSpec {
    type Error = BadMessage;

    fn try_from(wire: v1::ModelSpec) -> Result<Self, BadMessage> {
        let architecture = match wire.architecture.as_str() {
            "llama" => Architecture::Llama,
            other => {
                return Err(BadMessage::new("architecture", format!("must be \"llama\", got {other:?}")));
            }
        };
        if wire.version.is_empty() {
            return Err(BadMessage::new("version", "must not be empty"));
        }
        if wire.sha256.len() != 64
            || !wire.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(BadMessage::new("sha256", "must be 64 lower-case hexadecimal digits"));
        }
        Ok(Self {
            id: ModelId::new(wire.id).map_err(|e| BadMessage::new("id", e))?,
            version: wire.version,
            architecture,
            layers: wire.layers,
            context: wire.context,
            memory: Bytes(wire.memory_bytes),
            sha256: wire.sha256,
            size: Bytes(wire.size_bytes),
            sources: wire.sources.into_iter().map(ModelSource::try_from).collect::<Result<_, _>>()?,
            replicas: wire.replicas,
            requires: wire.requires.map_or_else(|| Ok(Requirements::default()), Requirements::try_from)?,
        })
    }
}

impl From<ModelSource> for v1::ModelSource {
    fn from(source: ModelSource) -> Self {
        let source = match source {
            ModelSource::Path(path) => Source::Path(path),
            ModelSource::Pypi { package, version, member } => {
                Source::Pypi(v1::PypiSource { package, version, member })
            }
            ModelSource::Hf { repo, revision, file } => Source::Hf(v1::HfSource { repo, revision, file }),
        };
        Self { source: Some(source) }
    }
}

impl TryFrom<v1::ModelSource> for ModelSource {
    type Error = BadMessage;

    fn try_from(wire: v1::ModelSource) -> Result<Self, BadMessage> {
        Ok(match wire.source.ok_or_else(|| BadMessage::missing("source"))? {
            Source::Path(path) => Self::Path(path),
            Source::Pypi(v1::PypiSource { package, version, member }) => {
                Self::Pypi { package, version, member }
            }
            Source::Hf(v1::HfSource { repo, revision, file }) => Self::Hf { repo, revision, file },
        })
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::{DeviceFeature, DeviceKind};

    use super::*;

    fn spec() -> ModelSpec {
        ModelSpec {
            id: ModelId::new("m").expect("a valid name"),
            version: "1".to_owned(),
            architecture: Architecture::Llama,
            layers: 30,
            context: 8192,
            memory: Bytes(1 << 28),
            sha256: "0".repeat(64),
            size: Bytes(98_362_432),
            sources: vec![
                ModelSource::Path("/models/m.gguf".to_owned()),
                ModelSource::Pypi {
                    package: "p".to_owned(),
                    version: "1".to_owned(),
                    member: "m.gguf".to_owned(),
                },
            ],
            replicas: 3,
            requires: Requirements {
                vendors: [DeviceKind::Nvidia, DeviceKind::Amd].into(),
                features: [DeviceFeature::new("fp8").expect("a valid name")].into(),
            },
        }
    }

    #[test]
    fn a_model_survives_the_wire() {
        assert_eq!(ModelSpec::try_from(v1::ModelSpec::from(spec())), Ok(spec()));
    }

    #[test]
    fn a_model_that_asks_for_nothing_says_nothing_of_it() {
        let spec = ModelSpec { requires: Requirements::default(), ..spec() };
        let wire = v1::ModelSpec::from(spec.clone());
        assert_eq!(wire.requires, None);
        assert_eq!(ModelSpec::try_from(wire), Ok(spec));
    }

    #[test]
    fn a_bad_hash_and_another_architecture_are_refused_by_field() {
        let with = |change: fn(&mut v1::ModelSpec)| {
            let mut wire = v1::ModelSpec::from(spec());
            change(&mut wire);
            ModelSpec::try_from(wire).map_err(|e| e.field)
        };
        assert_eq!(with(|w| w.sha256 = "X".repeat(64)), Err("sha256"));
        assert_eq!(with(|w| w.architecture = "mamba".to_owned()), Err("architecture"));
        assert_eq!(with(|w| w.version.clear()), Err("version"));
    }
}
