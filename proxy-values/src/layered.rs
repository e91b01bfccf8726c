//! Parameters that are set in layers: defaults, then what a pool says, then what a route says.

/// Declares a parameter struct and the struct of its overrides, with one list of fields.
///
/// The overrides are what a configuration file holds (each field may be absent); the struct itself has every field.
#[macro_export]
#[doc(hidden)]
macro_rules! layered {
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident / $(#[$over_meta:meta])* $overrides:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            /// These values, with those that `overrides` has in their place.
            #[must_use]
            pub fn with(&self, overrides: &$overrides) -> Self {
                Self { $($field: overrides.$field.unwrap_or(self.$field),)* }
            }
        }

        $(#[$over_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields, default))]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        $vis struct $overrides {
            $(
                $(#[$field_meta])*
                pub $field: Option<$type>,
            )*
        }
    };
}
