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
        #[non_exhaustive]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self::DEFAULT
            }
        }

        impl $name {
            /// The defaults, for constants.
            pub const DEFAULT: Self = Self { $($field: $default,)* };

            /// These values, with those that `overrides` has in their place.
            #[must_use]
            pub fn with(&self, overrides: &$overrides) -> Self {
                Self { $($field: overrides.$field.unwrap_or(self.$field),)* }
            }
        }

        $crate::setters!($name { $($field: $type),* });
        $crate::setters!($overrides { $($field: Option<$type>),* });

        $(#[$over_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields, default))]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        $vis struct $overrides {
            $(
                $(#[$field_meta])*
                pub $field: Option<$type>,
            )*
        }
    };
}
