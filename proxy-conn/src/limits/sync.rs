//! What the limits are made of, so that the loom model can put its own in its place (`limits/model.rs` says how).

#[cfg(not(all(test, loom_model)))]
pub(super) use {parking_lot::Mutex, std::sync::atomic::AtomicU64};

#[cfg(all(test, loom_model))]
pub(super) use {self::modelled::Mutex, loom::sync::atomic::AtomicU64};

#[cfg(all(test, loom_model))]
mod modelled {
    /// loom's mutex with parking_lot's `lock`.
    pub(in crate::limits) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::limits) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(in crate::limits) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
