//! What models ask of boards, and what boards have to offer.

use std::collections::BTreeSet;

use helixflow_model::{BoardTraits, DeviceFeature, DeviceKind, Requirements};

use super::BadMessage;
use crate::v1;

impl From<BoardTraits> for v1::BoardTraits {
    fn from(BoardTraits { kind, features }: BoardTraits) -> Self {
        Self { kind: v1::DeviceKind::from(kind).into(), features: names(features) }
    }
}

impl TryFrom<v1::BoardTraits> for BoardTraits {
    type Error = BadMessage;

    fn try_from(wire: v1::BoardTraits) -> Result<Self, BadMessage> {
        Ok(Self { kind: DeviceKind::try_from(wire.kind())?, features: features(wire.features)? })
    }
}

impl From<Requirements> for v1::Requirements {
    fn from(Requirements { vendors, features }: Requirements) -> Self {
        let vendors = vendors.into_iter().map(|kind| v1::DeviceKind::from(kind).into()).collect();
        Self { vendors, features: names(features) }
    }
}

impl TryFrom<v1::Requirements> for Requirements {
    type Error = BadMessage;

    fn try_from(wire: v1::Requirements) -> Result<Self, BadMessage> {
        let vendors = wire.vendors().map(DeviceKind::try_from).collect::<Result<_, _>>()?;
        Ok(Self { vendors, features: features(wire.features)? })
    }
}

fn names(features: BTreeSet<DeviceFeature>) -> Vec<String> {
    features.into_iter().map(Into::into).collect()
}

fn features(names: Vec<String>) -> Result<BTreeSet<DeviceFeature>, BadMessage> {
    let feature = |name| DeviceFeature::new(name).map_err(|e| BadMessage::new("features", e));
    names.into_iter().map(feature).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traits_survive_the_wire_and_a_bad_name_is_refused() {
        let features = [DeviceFeature::new("bf16").expect("a valid name")].into();
        let traits = BoardTraits { kind: DeviceKind::Simulated, features };
        let mut wire = v1::BoardTraits::from(traits.clone());
        assert_eq!(BoardTraits::try_from(wire.clone()), Ok(traits));
        wire.features.push("no name".to_owned());
        assert_eq!(BoardTraits::try_from(wire).map_err(|e| e.field), Err("features"));
    }
}
