//! What is seen of a proxy as it runs: figures of each part, once a second, beside the workers.

mod picture;

pub use picture::Pictures;
