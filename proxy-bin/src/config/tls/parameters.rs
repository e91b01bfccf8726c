//! What may be spoken, of either side, and whether that contradicts itself.

use proxy_tls::{Cipher, Group, Parameters, ParametersError, Version};

use super::super::document::Place;
use super::super::finding::Finding;

/// What a table whose place this is says of it.
pub(super) fn parameters(
    min_version: Version,
    max_version: Option<Version>,
    ciphers: &[Cipher],
    groups: &[Group],
    place: &Place<'_, '_>,
) -> Result<Parameters, Finding> {
    let parameters = Parameters::default()
        .min_version(min_version)
        .max_version(max_version.unwrap_or(Version::V13))
        .ciphers(ciphers.to_vec())
        .groups(groups.to_vec());
    parameters.check().map_err(|error| {
        let key = if error == ParametersError::Versions { "max_version" } else { "ciphers" };
        Finding::new(place.key(key).span(), error.to_string())
    })?;
    Ok(parameters)
}
