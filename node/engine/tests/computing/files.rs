//! The GGUF reader: gives back what was written, and takes any bytes without panic or great allocation.

use helixflow_engine::compute::cpu::{CpuModel, CpuOptions, Hyperparameters};
use helixflow_engine::compute::{Batch, Compute, Input, Output, PageId};
use helixflow_engine::gguf::{GgufError, GgufFile, GgufWriter, TensorType};
use proptest::prelude::*;

use crate::run::{options, row};
use crate::synthetic::{Numbers, Recipe};

fn small() -> Recipe {
    Recipe {
        width: 32,
        inner: 32,
        heads: 4,
        kv_heads: 2,
        vocabulary: 20,
        layers: 2,
        ..Recipe::of(TensorType::Q4_1)
    }
}

fn vocabulary_file() -> Vec<u8> {
    let mut writer = small().writer();
    writer
        .strings("tokenizer.ggml.tokens", &[&b"a"[..], b"", b"\xff\xfe", "ü".as_bytes()])
        .floats("tokenizer.ggml.scores", &[0.5, -1.5])
        .signed_integers("tokenizer.ggml.token_type", &[1, -3])
        .boolean("tokenizer.ggml.add_bos_token", true)
        .string("tokenizer.chat_template", "{{ messages }}");
    writer.to_bytes()
}

#[test]
fn what_is_written_is_read_back() {
    let file = GgufFile::from_bytes(vocabulary_file()).unwrap();
    let metadata = file.metadata();
    let tokens: Vec<&[u8]> = metadata.strings("tokenizer.ggml.tokens").unwrap().collect();
    assert_eq!(tokens, [&b"a"[..], b"", b"\xff\xfe", "ü".as_bytes()]);
    assert!(metadata.floats("tokenizer.ggml.scores").unwrap().eq([0.5, -1.5]));
    assert!(metadata.signed_integers("tokenizer.ggml.token_type").unwrap().eq([1, -3]));
    assert!(metadata.boolean("tokenizer.ggml.add_bos_token").unwrap());
    assert_eq!(metadata.string("tokenizer.chat_template").unwrap(), "{{ messages }}");
    assert_eq!(metadata.unsigned("llama.block_count").unwrap(), 2);
    assert_eq!(metadata.float("llama.rope.freq_base").unwrap(), 10_000.0);
    let (info, bytes) = file.tensor("token_embd.weight").unwrap();
    assert_eq!((info.kind, info.columns(), info.rows()), (TensorType::Q4_1, 32, 20));
    assert_eq!(bytes.len(), 20 * 20);
}

#[test]
fn metadata_can_be_copied_from_file_to_file() {
    let file = GgufFile::from_bytes(vocabulary_file()).unwrap();
    let mut writer = GgufWriter::new();
    writer.metadata_of(&file).u32("own", 1);
    let copy = GgufFile::from_bytes(writer.to_bytes()).unwrap();
    assert_eq!(copy.metadata().keys().count(), file.metadata().keys().count() + 1);
    assert_eq!(copy.metadata().string("tokenizer.chat_template").unwrap(), "{{ messages }}");
}

#[test]
fn a_key_of_another_type_is_an_error_that_names_both() {
    let file = GgufFile::from_bytes(vocabulary_file()).unwrap();
    let metadata = file.metadata();
    let error = metadata.string("llama.block_count").unwrap_err().to_string();
    assert!(error.contains("llama.block_count") && error.contains("U32"), "{error}");
    assert!(matches!(metadata.unsigned("nothing"), Err(GgufError::MissingKey { .. })));
    assert!(metadata.strings("tokenizer.ggml.scores").is_err());
    assert!(metadata.floats("tokenizer.ggml.tokens").is_err());
}

#[test]
fn files_of_another_kind_or_version_are_told_apart() {
    let refuse = |bytes: &[u8]| GgufFile::from_bytes(bytes.to_vec()).unwrap_err();
    assert!(matches!(refuse(b"PK\x03\x04 and more"), GgufError::NotGguf(_)));
    assert!(matches!(refuse(b"GG"), GgufError::Truncated { .. }));
    assert!(matches!(refuse(b"GGUF\x01\0\0\0"), GgufError::UnsupportedVersion(1)));
    let counts = |tensors: u64, keys: u64| {
        [b"GGUF\x03\0\0\0".to_vec(), tensors.to_le_bytes().to_vec(), keys.to_le_bytes().to_vec()].concat()
    };
    assert!(matches!(refuse(&counts(u64::MAX, 0)), GgufError::TooMany { .. }));
    assert!(matches!(refuse(&counts(0, u64::MAX)), GgufError::TooMany { .. }));
    assert!(matches!(refuse(&counts(1, 0)), GgufError::Truncated { .. }));
}

#[test]
fn a_type_that_is_not_computed_is_named() {
    let mut bytes = GgufWriter::new().tensor("t", TensorType::Q4_0, &[32], &[0; 18]).to_bytes();
    // The directory entry: name length and name, rank, one dimension, then the type.
    let kind = 24 + 8 + 1 + 4 + 8;
    for (id, name) in [(10_u8, "Q2_K"), (30, "BF16"), (200, "type 200")] {
        bytes[kind] = id;
        let error = GgufFile::from_bytes(bytes.clone()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn tensors_beyond_the_end_or_of_impossible_size_are_refused() {
    let whole = small().bytes();
    let cut = GgufFile::from_bytes(whole[..whole.len() - 64].to_vec());
    assert!(matches!(cut.unwrap_err(), GgufError::Truncated { .. }));
    for dimensions in [&[usize::MAX & !31, 2][..], &[1 << 40, 1 << 40], &[33]] {
        let bytes = GgufWriter::new().tensor("t", TensorType::Q4_0, dimensions, &[0; 18]).to_bytes();
        assert!(matches!(GgufFile::from_bytes(bytes).unwrap_err(), GgufError::BadTensor { .. }));
    }
}

#[test]
fn a_path_that_cannot_be_read_is_named() {
    let error = GgufFile::open(std::path::Path::new("/no/such/model.gguf")).unwrap_err();
    assert!(error.to_string().contains("/no/such/model.gguf"));
}

#[test]
fn a_mapped_file_is_read_as_its_bytes_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    #[expect(clippy::disallowed_methods, reason = "a test's own temporary file")]
    std::fs::write(&path, vocabulary_file()).unwrap();
    let mapped = GgufFile::open(&path).unwrap();
    let owned = GgufFile::from_bytes(vocabulary_file()).unwrap();
    assert_eq!(mapped.tensor("blk.1.ffn_up.weight").unwrap(), owned.tensor("blk.1.ffn_up.weight").unwrap());
}

/// Reads everything that the bytes offer; where they are a model, runs a token through it.
fn exercise(bytes: Vec<u8>) {
    let Ok(file) = GgufFile::from_bytes(bytes) else { return };
    let metadata = file.metadata();
    for key in metadata.keys() {
        let _ = (metadata.string(key), metadata.unsigned(key), metadata.float(key), metadata.boolean(key));
        let _ =
            (metadata.floats(key).map(Iterator::count), metadata.signed_integers(key).map(Iterator::count));
        if let Ok(strings) = metadata.strings(key) {
            assert_eq!(strings.len(), strings.clone().count());
        }
    }
    let Ok(hyper) = Hyperparameters::read(&file) else { return };
    let options = CpuOptions { pages: 1, ..options() };
    let Ok(mut model) = CpuModel::load(&file, hyper.all_layers(), &options, &mut |_, _| {}) else { return };
    let batch = Batch { rows: &[row(0, 0, 0)], tables: &[&[PageId(0)]] };
    let _ = model.forward(&batch, Input::Tokens, &mut Output::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_truncated_file_is_refused_without_panic(share in 0.0..1.0_f64) {
        let mut bytes = vocabulary_file();
        bytes.truncate((bytes.len() as f64 * share) as usize);
        exercise(bytes);
    }

    #[test]
    fn a_mutated_file_is_read_or_refused_without_panic(seed: u64, mutations in 1..12) {
        let mut bytes = vocabulary_file();
        let numbers = &mut Numbers(seed);
        for _ in 0..mutations {
            // Mostly the header: the metadata and the directory are the first few thousand bytes.
            let bound = if numbers.next().is_multiple_of(4) { bytes.len() } else { 3000 };
            let at = (numbers.next() % bound as u64) as usize;
            bytes[at] = match numbers.next() % 3 {
                0 => 0xff,
                1 => 0,
                _ => numbers.next() as u8,
            };
        }
        exercise(bytes);
    }

    #[test]
    fn any_bytes_after_the_magic_are_read_or_refused_without_panic(tail: Vec<u8>) {
        exercise([b"GGUF\x03\0\0\0", tail.as_slice()].concat());
    }
}
