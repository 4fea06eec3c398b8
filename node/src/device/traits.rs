//! What a board offers to models that ask for something, by the product's name.
//!
//! NVIDIA: bfloat16 in tensor cores from compute capability 8.0, FP8 from 8.9 ("CUDA C++ Programming Guide", chapter
//! "Compute Capabilities", with the list "CUDA-Enabled GPUs"). AMD: bfloat16 from CDNA on, FP8 from CDNA 3 ("AMD Instinct MI300
//! Instruction Set Architecture", and those of the generations before). Products for data centres only: of any other a
//! node tells its maker alone.

use helixflow_model::{BoardInfo, BoardTraits, DeviceFeature};

/// Products that compute in FP8 and in bfloat16: Ada, Hopper, Blackwell; CDNA 3 and 4.
const WITH_FP8: &[&str] = &[
    "L4", "L40", "L40S", "H20", "H100", "H200", "H800", "GH200", "B100", "B200", "B300", "GB200", "GB300",
    "MI300A", "MI300X", "MI325X", "MI350X", "MI355X",
];
/// Products that compute in bfloat16, and not in FP8: Ampere; CDNA 1 and 2.
const WITH_BF16: &[&str] =
    &["A2", "A10", "A16", "A30", "A40", "A100", "A800", "MI100", "MI210", "MI250", "MI250X"];

/// The traits of a board.
pub(crate) fn traits(info: &BoardInfo) -> BoardTraits {
    let named = |products: &[&str]| info.name.split(is_between).any(|word| products.contains(&word));
    let features: &[&str] = match (named(WITH_FP8), named(WITH_BF16)) {
        (true, _) => &["bf16", "fp8"],
        (false, true) => &["bf16"],
        (false, false) => &[],
    };
    let features = features.iter().filter_map(|name| DeviceFeature::new(*name).ok()).collect();
    BoardTraits { kind: info.kind, features }
}

/// Whether a character parts the words of a name: `A100-SXM4-80GB` is three.
fn is_between(character: char) -> bool {
    !character.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use helixflow_model::{BoardId, BoardLimits, DeviceKind};

    use super::*;

    fn features(kind: DeviceKind, name: &str) -> Vec<String> {
        let board = BoardId::new("b").expect("a valid name");
        let info = BoardInfo { board, name: name.to_owned(), kind, limits: BoardLimits::default() };
        let BoardTraits { kind: told, features } = traits(&info);
        assert_eq!(told, kind);
        features.into_iter().map(Into::into).collect()
    }

    #[test]
    fn a_products_features_are_told_by_its_name() {
        assert_eq!(features(DeviceKind::Nvidia, "NVIDIA H100 80GB HBM3"), ["bf16", "fp8"]);
        assert_eq!(features(DeviceKind::Nvidia, "NVIDIA A100-SXM4-80GB"), ["bf16"]);
        assert_eq!(features(DeviceKind::Nvidia, "Tesla T4"), [""; 0]);
        assert_eq!(features(DeviceKind::Amd, "AMD Instinct MI300X"), ["bf16", "fp8"]);
        assert_eq!(features(DeviceKind::Simulated, "CPU (simulated board)"), [""; 0]);
    }
}
