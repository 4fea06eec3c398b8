//! What cannot be run is refused with an error that names it; what can be run refuses batches that do not fit.

use helixflow_engine::compute::cpu::{CpuModel, CpuOptions, Hyperparameters, LoadError};
use helixflow_engine::compute::{Batch, Compute, ComputeError, Input, Output, PageId, Row};
use helixflow_engine::gguf::{GgufError, GgufFile, GgufWriter, TensorType};
use helixflow_model::{LayerRange, TokenId};

use crate::run::{load, options, row};
use crate::synthetic::Recipe;

fn recipe() -> Recipe {
    Recipe::of(TensorType::Q4_0)
}

fn refusal(writer: &GgufWriter) -> LoadError {
    let file = GgufFile::from_bytes(writer.to_bytes()).unwrap();
    let layers = LayerRange { first: 0, end: 3 };
    match CpuModel::load(&file, layers, &options(), &mut |_, _| {}) {
        Ok(_) => panic!("the model was loaded"),
        Err(error) => error,
    }
}

#[test]
fn another_architecture_is_refused_by_name() {
    let mut writer = GgufWriter::new();
    writer.string("general.architecture", "gemma3");
    let error = refusal(&writer);
    assert!(matches!(&error, LoadError::OtherArchitecture { found } if found == "gemma3"));
    assert!(error.to_string().contains("gemma3"));
}

#[test]
fn a_missing_key_and_a_missing_tensor_are_named() {
    let mut writer = GgufWriter::new();
    writer.string("general.architecture", "llama");
    assert!(refusal(&writer).to_string().contains("llama.block_count"));
    let mut shorter = Recipe { layers: 2, ..recipe() }.writer();
    shorter.u32("general.quantization_version", 2);
    let file = GgufFile::from_bytes(shorter.to_bytes()).unwrap();
    let layers = LayerRange { first: 0, end: 3 };
    let error = CpuModel::load(&file, layers, &options(), &mut |_, _| {}).err().unwrap();
    assert!(matches!(error, LoadError::Layers { layers: 2, .. }), "{error}");
}

#[test]
fn tensors_that_are_not_computed_are_refused_by_name() {
    let mut writer = recipe().writer();
    writer.tensor("blk.0.attn_q.bias", TensorType::F32, &[256], &[0; 1024]);
    assert!(refusal(&writer).to_string().contains("blk.0.attn_q.bias"));
}

#[test]
fn scalings_that_are_not_computed_are_refused_by_name() {
    let mut writer = recipe().writer();
    writer.string("llama.rope.scaling.type", "yarn");
    assert!(matches!(refusal(&writer), LoadError::UnsupportedScaling { found } if found == "yarn"));
}

#[test]
fn a_scale_that_is_not_finite_is_refused_in_every_type() {
    for kind in TensorType::ALL {
        let bytes = Recipe::of(kind).bytes();
        let file = GgufFile::from_bytes(bytes.clone()).unwrap();
        let (info, _) = file.tensor("blk.1.ffn_up.weight").unwrap();
        let scale = info.range.start + if kind == TensorType::Q6K { 208 } else { 0 };
        let mut broken = bytes;
        let infinity = if kind == TensorType::F32 { &[0, 0, 0x80, 0x7f][..] } else { &[0, 0x7c] };
        broken[scale..scale + infinity.len()].copy_from_slice(infinity);
        let file = GgufFile::from_bytes(broken).unwrap();
        let layers = LayerRange { first: 0, end: 3 };
        let error = CpuModel::load(&file, layers, &options(), &mut |_, _| {}).err().unwrap();
        let LoadError::Gguf(GgufError::NonFinite { tensor }) = error else { panic!("{kind}: {error}") };
        assert_eq!(tensor, "blk.1.ffn_up.weight");
    }
}

#[test]
fn options_and_layers_that_make_no_sense_are_refused() {
    let file = recipe().file();
    let all = LayerRange { first: 0, end: 3 };
    for options in [
        CpuOptions { threads: 0, ..options() },
        CpuOptions { threads: 100_000, ..options() },
        CpuOptions { rows: 0, ..options() },
        CpuOptions { pages: 0, ..options() },
    ] {
        assert!(CpuModel::load(&file, all, &options, &mut |_, _| {}).is_err());
    }
    for (first, end) in [(0, 4), (2, 2), (3, 2), (7, 9)] {
        let error = CpuModel::load(&file, LayerRange { first, end }, &options(), &mut |_, _| {});
        assert!(matches!(error.err(), Some(LoadError::Layers { layers: 3, .. })));
    }
    let too_much = CpuOptions { pages: usize::MAX / 2, ..options() };
    let error = CpuModel::load(&file, all, &too_much, &mut |_, _| {}).err().unwrap();
    assert!(matches!(error, LoadError::Resources { .. }), "{error}");
}

#[test]
fn loading_tells_how_far_it_has_come() {
    let mut heard = Vec::new();
    let layers = LayerRange { first: 0, end: 3 };
    let file = recipe().file();
    CpuModel::load(&file, layers, &options(), &mut |done, total| heard.push((done, total))).unwrap();
    assert!(heard.is_sorted());
    let (done, total) = *heard.last().unwrap();
    assert_eq!(done, total);
}

#[test]
fn a_page_takes_what_the_hyperparameters_say() {
    let hyper = Hyperparameters::read(&recipe().file()).unwrap();
    // 64 positions, 3 layers, 4 heads of 8 dimensions for keys and 8 padded to 32 for values, 2 bytes each.
    assert_eq!(hyper.page_bytes(hyper.all_layers()), 64 * 3 * 4 * (8 + 32) * 2);
    assert_eq!(hyper.pages_per_sequence(), 8);
}

fn forward(
    model: &mut CpuModel,
    rows: &[Row],
    table: &[PageId],
    input: Input<'_>,
) -> Result<(), ComputeError> {
    model.forward(&Batch { rows, tables: &[table] }, input, &mut Output::default())
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let options = CpuOptions { rows: 4, logit_rows: 2, pages: 3, ..options() };
    let mut model = load(&recipe().file(), LayerRange { first: 0, end: 3 }, &options);
    let table = [PageId(0), PageId(2)];
    let quiet = |position| Row { logits: false, ..row(0, position, 1) };
    let many: Vec<Row> = (0..5).map(quiet).collect();
    for rows in [&many[..], &[row(0, 0, 1), row(0, 1, 1), row(0, 2, 1)]] {
        let refused = forward(&mut model, rows, &table, Input::Tokens);
        assert!(matches!(refused, Err(ComputeError::TooLarge { .. })));
    }
    let good = row(0, 0, 1);
    for bad in [
        Row { token: TokenId(203), ..good },
        Row { position: 512, ..good },
        Row { position: 128, ..good },
        Row { table: 1, ..good },
    ] {
        let refused = forward(&mut model, &[good, bad], &table, Input::Tokens);
        assert!(matches!(refused, Err(ComputeError::InvalidRow { row: 1, .. })));
    }
    let refused = forward(&mut model, &[good], &[PageId(3)], Input::Tokens);
    assert!(matches!(refused, Err(ComputeError::InvalidRow { row: 0, .. })));
    assert_eq!(forward(&mut model, &[good], &table, Input::Tokens), Ok(()));
    assert_eq!(forward(&mut model, &[], &table, Input::Tokens), Ok(()));
}

#[test]
fn each_range_takes_its_own_kind_of_input() {
    let file = recipe().file();
    let mut first = load(&file, LayerRange { first: 0, end: 1 }, &options());
    let mut last = load(&file, LayerRange { first: 1, end: 3 }, &options());
    let (rows, table) = ([row(0, 0, 1)], [PageId(0)]);
    for refused in [
        forward(&mut first, &rows, &table, Input::Hidden(&[0.0; 256])),
        forward(&mut last, &rows, &table, Input::Tokens),
        forward(&mut last, &rows, &table, Input::Hidden(&[0.0; 255])),
    ] {
        assert!(matches!(refused, Err(ComputeError::InvalidInput { .. })));
    }
    assert_eq!(forward(&mut last, &rows, &table, Input::Hidden(&[0.5; 256])), Ok(()));
}
