//! Tenants and API keys: the records, and how they are put and removed.
//!
//! A key's secret never comes here: only its SHA-256, which recognises it and does not give it away. Whether a key
//! has expired is for whoever checks it to say, by his own clock.

use std::fmt;

use helixflow_model::{Epoch, KeyId, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{
    ClusterState, MAX_DISPLAY_NAME_BYTES, MAX_KEYS, MAX_TENANTS, Outcome, Refusal,
    members::check_room,
    outcome::{Bounded, Field},
};

/// Whose requests, quotas and keys they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// What people read.
    pub display_name: String,
    /// The log index of the last put: it rises with each, also over a removal.
    pub revision: Epoch,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Whose it is.
    pub tenant: TenantId,
    /// What its secret hashes to.
    pub digest: KeyDigest,
    /// From when on it is refused; `None` for never.
    pub expires: Option<UnixMillis>,
}

/// The SHA-256 of a key's secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ClusterState {
    pub(super) fn put_tenant(
        &mut self,
        id: TenantId,
        display_name: String,
        expected: Option<Epoch>,
    ) -> Result<Outcome, Refusal> {
        if display_name.len() > MAX_DISPLAY_NAME_BYTES {
            return Err(Refusal::InvalidField { field: Field::DisplayName });
        }
        let found = self.tenants.get(&id).map_or(Epoch(0), |tenant| tenant.revision);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Refusal::RevisionDiffers { tenant: id, expected, found });
        }
        if !self.tenants.contains_key(&id) {
            check_room(self.tenants.len(), MAX_TENANTS, Bounded::Tenants)?;
        }
        let revision = self.epoch;
        self.tenants.insert(id, Tenant { display_name, revision });
        Ok(Outcome::Put { revision })
    }

    pub(super) fn remove_tenant(&mut self, id: &TenantId) -> Result<Outcome, Refusal> {
        if !self.tenants.remove(id) {
            return Ok(Outcome::Unchanged);
        }
        self.keys.retain(|_, key| key.tenant != *id);
        Ok(Outcome::Applied)
    }

    pub(super) fn put_key(&mut self, id: KeyId, key: Key) -> Result<Outcome, Refusal> {
        if !self.tenants.contains_key(&key.tenant) {
            return Err(Refusal::UnknownTenant { tenant: key.tenant });
        }
        match self.keys.get(&id) {
            Some(known) if *known == key => return Ok(Outcome::Unchanged),
            Some(_) => {}
            None => check_room(self.keys.len(), MAX_KEYS, Bounded::Keys)?,
        }
        if let Some((other, _)) = self.keys.iter().find(|(at, k)| **at != id && k.digest == key.digest) {
            return Err(Refusal::SecretTwice { key: other.clone() });
        }
        self.keys.insert(id, key);
        Ok(Outcome::Applied)
    }

    pub(super) fn remove_key(&mut self, id: &KeyId) -> Result<Outcome, Refusal> {
        if !self.keys.remove(id) {
            return Ok(Outcome::Unchanged);
        }
        Ok(Outcome::Applied)
    }
}
