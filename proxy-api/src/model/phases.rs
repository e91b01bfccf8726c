//! Connections by phase. Which phases there are is [`Phase`]'s business alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use proxy_conn::Phase;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// How many connections are in each phase: in JSON an object with a number for each phase by name. One that is not there is
/// 0, and a name that is unknown is left out, so that programs of two versions understand each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases([u64; Phase::ALL.len()]);

impl Phases {
    /// Each phase, in order, with how many are in it.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, u64)> {
        Phase::ALL.into_iter().zip(self.0)
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a place for each phase")]
impl Index<Phase> for Phases {
    type Output = u64;

    fn index(&self, phase: Phase) -> &u64 {
        &self.0[phase as usize]
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a place for each phase")]
impl IndexMut<Phase> for Phases {
    fn index_mut(&mut self, phase: Phase) -> &mut u64 {
        &mut self.0[phase as usize]
    }
}

/// So many in each of these phases, and none in the others.
impl<const N: usize> From<[(Phase, u64); N]> for Phases {
    fn from(counts: [(Phase, u64); N]) -> Self {
        counts.into_iter().fold(Self::default(), |mut all, (phase, count)| {
            all[phase] = count;
            all
        })
    }
}

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(phase, count)| (phase.name(), count)))
    }
}

impl<'de> Deserialize<'de> for Phases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = HashMap::<String, u64>::deserialize(deserializer)?;
        let of = |phase: Phase| counts.get(phase.name()).copied().unwrap_or_default();
        Ok(Self(Phase::ALL.map(of)))
    }
}

impl JsonSchema for Phases {
    fn schema_name() -> Cow<'static, str> {
        "Phases".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({
            "description": "Connections by phase.",
            "type": "object",
            "properties": {},
            "required": Phase::ALL.map(Phase::name),
        });
        for phase in Phase::ALL {
            let count = json_schema!({
                "type": "integer", "format": "uint64", "minimum": 0, "description": phase.meaning(),
            });
            if let Some(properties) = schema.get_mut("properties").and_then(|all| all.as_object_mut()) {
                properties.insert(phase.name().to_owned(), count.into());
            }
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_an_object_with_every_phase_in_order() {
        let phases = Phases::from([(Phase::Dial, 31), (Phase::Header, 1)]);
        let json = serde_json::to_string(&phases).unwrap();
        assert_eq!(json, r#"{"header":1,"peek":0,"tls":0,"dial":31,"idle":0,"busy":0,"relay":0,"drain":0}"#);
        assert_eq!((serde_json::from_str::<Phases>(&json).unwrap(), phases.total()), (phases, 32));
    }

    #[test]
    fn another_version_may_have_other_phases() {
        let phases: Phases = serde_json::from_str(r#"{"handshake":7,"relay":2}"#).unwrap();
        assert_eq!(phases, Phases::from([(Phase::Relay, 2)]));
    }
}
