//! The PROXY protocol, against good headers cut anywhere, broken ones, another parser, and noise.

#[cfg(test)]
mod corrupted;
#[cfg(test)]
mod every_length;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod split;
#[cfg(test)]
mod tlvs;
#[cfg(test)]
mod written;
