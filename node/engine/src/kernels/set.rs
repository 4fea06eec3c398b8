//! Which instructions the kernels use: chosen by the caller, checked against the machine.

use std::fmt;

use super::Kernel;
use super::isa::Scalar;
#[cfg(target_arch = "x86_64")]
use super::isa::{Avx2, Avx512};

/// A family of instructions that the kernels can run on. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KernelSet {
    /// Plain Rust: defines the result, runs everywhere, slowly.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
}

impl KernelSet {
    /// The sets that this machine can run, slowest first.
    pub fn available() -> Vec<Self> {
        let all = [Self::Scalar, Self::Avx2, Self::Avx512];
        all.into_iter().filter(|&set| Kernels::new(set).is_ok()).collect()
    }

    /// The fastest set that this machine can run.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Scalar)
    }
}

impl fmt::Display for KernelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

impl std::str::FromStr for KernelSet {
    type Err = UnknownKernelSet;

    fn from_str(name: &str) -> Result<Self, UnknownKernelSet> {
        match name {
            "scalar" => Ok(Self::Scalar),
            "avx2" => Ok(Self::Avx2),
            "avx512" => Ok(Self::Avx512),
            _ => Err(UnknownKernelSet(name.to_owned())),
        }
    }
}

/// A name that is no [`KernelSet`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kernel set; use scalar, avx2 or avx512")]
pub struct UnknownKernelSet(String);

/// A kernel set was asked for that this machine cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine lacks the instructions of the {0} kernels; use {best}", best = KernelSet::best())]
pub struct KernelsUnavailable(pub KernelSet);

/// The proof that this machine can run a [`KernelSet`], and the way to run kernels on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels(Instructions);

#[derive(Clone, Copy, Debug)]
enum Instructions {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Kernels {
    /// Checks that the machine has the instructions.
    pub(crate) fn new(set: KernelSet) -> Result<Self, KernelsUnavailable> {
        let found = match set {
            KernelSet::Scalar => Some(Instructions::Scalar),
            #[cfg(target_arch = "x86_64")]
            KernelSet::Avx2 => Avx2::detect().map(Instructions::Avx2),
            #[cfg(target_arch = "x86_64")]
            KernelSet::Avx512 => Avx512::detect().map(Instructions::Avx512),
            #[cfg(not(target_arch = "x86_64"))]
            KernelSet::Avx2 | KernelSet::Avx512 => None,
        };
        found.map(Self).ok_or(KernelsUnavailable(set))
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Instructions::Scalar => kernel.run(Scalar),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(isa) => isa.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512(isa) => isa.run(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_set_is_read_from_its_own_name() {
        for set in [KernelSet::Scalar, KernelSet::Avx2, KernelSet::Avx512] {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert!("sse".parse::<KernelSet>().is_err());
    }

    #[test]
    fn scalar_kernels_run_everywhere_and_the_best_set_is_available() {
        assert_eq!(KernelSet::available().first(), Some(&KernelSet::Scalar));
        assert!(KernelSet::available().contains(&KernelSet::best()));
    }
}
