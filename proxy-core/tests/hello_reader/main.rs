//! The ClientHello reader, against hellos built by hand, captured ones, two other readers, and noise.

#[cfg(test)]
mod builder;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod extensions;
#[cfg(test)]
mod oracles;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod splits;
