//! Tenants and keys on the wire: requests into commands, records into answers.

use helixflow_model::{Epoch, KeyId, TenantId, UnixMillis};
use helixflow_policy::state::{Command, Key, KeyDigest, Tenant};
use helixflow_proto::error::invalid;
use helixflow_proto::v1::{self, PutKeyRequest, PutTenantRequest};
use tonic::Status;

/// The tenant that a field names.
pub(super) fn tenant(name: String) -> Result<TenantId, Status> {
    TenantId::new(name).map_err(|error| invalid("tenant", error.to_string()))
}

/// The key that a field names.
pub(super) fn key(id: String) -> Result<KeyId, Status> {
    KeyId::new(id).map_err(|error| invalid("id", error.to_string()))
}

pub(super) fn put_tenant(request: PutTenantRequest) -> Result<Command, Status> {
    let PutTenantRequest { tenant: name, display_name, expected_revision, .. } = request;
    Ok(Command::PutTenant { tenant: tenant(name)?, display_name, expected: expected_revision.map(Epoch) })
}

pub(super) fn put_key(request: PutKeyRequest) -> Result<Command, Status> {
    let PutKeyRequest { id, tenant: owner, sha256, expires_unix_ms, .. } = request;
    let digest: [u8; 32] = sha256.try_into().map_err(|bytes: Vec<u8>| {
        invalid("sha256", format!("sha256: {} bytes; give the 32 of the secret's SHA-256", bytes.len()))
    })?;
    let expires = expires_unix_ms.map(UnixMillis);
    Ok(Command::PutKey {
        id: key(id)?,
        key: Key { tenant: tenant(owner)?, digest: KeyDigest(digest), expires },
    })
}

pub(super) fn described(tenant: &Tenant) -> v1::Tenant {
    v1::Tenant { display_name: tenant.display_name.clone(), revision: tenant.revision.0 }
}
