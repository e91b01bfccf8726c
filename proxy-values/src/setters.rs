//! Options that may get further fields: made from their defaults, one setter a field.

/// Declares a setter for each of these fields, named like it: `Options::default().field(value)`. They are `const`, but for
/// `[] Options { … }`, whose fields have destructors.
///
/// For structs that are `#[non_exhaustive]`, which other crates cannot write as a literal.
#[macro_export]
#[doc(hidden)]
macro_rules! setters {
    ([] $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        impl $name { $($crate::setters!(@one [] $field: $type);)* }
    };
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        impl $name { $($crate::setters!(@one [const] $field: $type);)* }
    };
    (@one [$($const:tt)?] $field:ident: $type:ty) => {
        #[doc = concat!("These, with another [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use]
        pub $($const)? fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    };
}
