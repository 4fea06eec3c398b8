//! Applies what concerns models: add, scale, remove.

use helixflow_model::{ModelSource, ModelSpec, Requirements};

use super::{
    ClusterState, MAX_FEATURES, MAX_LAYERS, MAX_MODELS, MAX_SOURCE_BYTES, MAX_SOURCES, MAX_VERSION_BYTES,
    ModelKey, Outcome, Refusal,
    members::check_room,
    outcome::{Bounded, Field},
};

impl ClusterState {
    /// What it asks for is not part of this command, and does not come with it from a coordinator that has not yet
    /// written it down.
    pub(super) fn add_plain_model(&mut self, spec: ModelSpec) -> Result<Outcome, Refusal> {
        self.add_model(ModelSpec { requires: Requirements::default(), ..spec })
    }

    pub(super) fn add_model(&mut self, spec: ModelSpec) -> Result<Outcome, Refusal> {
        check_spec(&spec)?;
        self.check_replicas(spec.replicas)?;
        let key = ModelKey::of(&spec);
        match self.models.get(&key) {
            Some(known) if *known == spec => return Ok(Outcome::Unchanged),
            Some(_) => return Err(Refusal::ModelDiffers { model: key }),
            None => check_room(self.models.len(), MAX_MODELS, Bounded::Models)?,
        }
        self.models.insert(key, spec);
        self.note_change();
        Ok(Outcome::Applied)
    }

    pub(super) fn scale_model(&mut self, key: ModelKey, replicas: u32) -> Result<Outcome, Refusal> {
        self.check_replicas(replicas)?;
        let Some(spec) = self.models.get_mut(&key) else {
            return Err(Refusal::UnknownModel { model: key });
        };
        if spec.replicas == replicas {
            return Ok(Outcome::Unchanged);
        }
        spec.replicas = replicas;
        self.note_change();
        Ok(Outcome::Applied)
    }

    pub(super) fn remove_model(&mut self, key: &ModelKey) -> Result<Outcome, Refusal> {
        if self.models.remove(key).is_none() {
            return Ok(Outcome::Unchanged);
        }
        self.replicas.retain(|_, replica| replica.model != *key);
        self.note_change();
        Ok(Outcome::Applied)
    }

    /// One replica a node at most.
    fn check_replicas(&self, replicas: u32) -> Result<(), Refusal> {
        if replicas as usize <= self.most_nodes() {
            Ok(())
        } else {
            Err(Refusal::InvalidField { field: Field::ReplicaCount })
        }
    }
}

fn check_spec(spec: &ModelSpec) -> Result<(), Refusal> {
    let version_fits = (1..=MAX_VERSION_BYTES).contains(&spec.version.len());
    let hash_fits =
        spec.sha256.len() == 64 && spec.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let sources_fit = spec.sources.len() <= MAX_SOURCES && spec.sources.iter().all(source_fits);
    for (fits, field) in [
        (version_fits, Field::Version),
        ((1..=MAX_LAYERS).contains(&spec.layers), Field::Layers),
        (spec.context > 0, Field::Context),
        (hash_fits, Field::Sha256),
        (sources_fit, Field::Sources),
        (spec.requires.features.len() <= MAX_FEATURES, Field::Requirements),
    ] {
        if !fits {
            return Err(Refusal::InvalidField { field });
        }
    }
    Ok(())
}

fn source_fits(source: &ModelSource) -> bool {
    let fits = |text: &String| text.len() <= MAX_SOURCE_BYTES;
    match source {
        ModelSource::Path(path) => fits(path),
        ModelSource::Pypi { package, version, member } => fits(package) && fits(version) && fits(member),
        ModelSource::Hf { repo, revision, file } => fits(repo) && fits(revision) && fits(file),
    }
}
