//! The keys that session tickets are sealed with: the same for every worker, kept over reloads, handed over in an upgrade, and changed
//! before long.
//!
//! ```text
//! secrets (the newest, and the one before) ─► for each kind of server: a key of its own ─► tickets
//! ```
//! A ticket says who somebody is whose certificate was asked for, and a server that resumes a session asks for none again. So a ticket
//! is good only for servers with the same options: each has keys of its own, derived from the one secret and from all of its options.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use parking_lot::Mutex;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// For so many seconds tickets are made with one secret; for as many again they are still taken. As rustls has it: six hours.
const USED_FOR: u32 = 6 * 60 * 60;
const USED: u64 = USED_FOR as u64;

/// The first bytes of a ticket: which key it is sealed with.
const NAME: usize = 8;

const SECRET: usize = 32;

/// What a saved secret takes: when it was made, and itself.
const SAVED: usize = 8 + SECRET;

/// The first byte of what is saved: its form.
const FORM: u8 = 1;

/// The keys of tickets. Cheap to clone; clones are the same. Where the system has no random numbers there are no tickets.
#[derive(Clone, Default)]
pub struct TicketKeys(Arc<Shared>);

#[derive(Default)]
struct Shared {
    secrets: ArcSwap<Secrets>,
    /// Held by whoever replaces them.
    changing: Mutex<()>,
    /// Those that are in use, by what they are for.
    ticketers: Mutex<HashMap<Kind, Weak<Ticketer>>>,
}

/// The options of a server, as a digest.
type Kind = [u8; SHA256_OUTPUT_LEN];

#[derive(Default)]
struct Secrets {
    /// None until the first ticket is to be made.
    newest: Option<Secret>,
    before: Option<Secret>,
}

impl Secrets {
    /// Whether no ticket is to be made with the newest any more.
    fn are_over(&self, now: u64) -> bool {
        self.newest.as_ref().is_none_or(|newest| newest.is_over(now, USED))
    }
}

#[derive(Clone)]
struct Secret {
    bytes: Zeroizing<[u8; SECRET]>,
    /// When it was made, in seconds since 1970.
    since: u64,
}

impl Secret {
    /// None where the system has no random numbers.
    fn new(now: u64) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; SECRET]);
        rand::fill(bytes.as_mut_slice()).ok()?;
        Some(Self { bytes, since: now })
    }

    /// Whether it is older than `most` seconds, or of a time that has not come: then a clock was wrong when it was made.
    fn is_over(&self, now: u64, most: u64) -> bool {
        match now.checked_sub(self.since) {
            Some(age) => age >= most,
            None => self.since - now > USED,
        }
    }
}

impl TicketKeys {
    /// Their secrets, for another process that goes on in place of this one; None where none was needed yet. Who reads them reads what is
    /// said in sessions that are resumed with TLS 1.2: they are for memory, not for files.
    #[must_use]
    pub fn save(&self) -> Option<Zeroizing<Vec<u8>>> {
        let secrets = self.0.secrets.load();
        let newest = secrets.newest.as_ref()?;
        let mut saved = Zeroizing::new(Vec::with_capacity(1 + 2 * SAVED));
        saved.push(FORM);
        for secret in [Some(newest), secrets.before.as_ref()].into_iter().flatten() {
            saved.extend_from_slice(&secret.since.to_le_bytes());
            saved.extend_from_slice(&*secret.bytes);
        }
        Some(saved)
    }

    /// Goes on with what another process has [saved](Self::save): also where servers use these keys already. False where it cannot be
    /// read; then they stay as they are.
    #[must_use]
    pub fn restore(&self, saved: &[u8]) -> bool {
        let Some((FORM, secrets)) = saved.split_first().map(|(form, rest)| (*form, rest)) else {
            return false;
        };
        let mut read = secrets.chunks(SAVED).map(secret);
        let (Some(Some(newest)), before, None) = (read.next(), read.next(), read.next()) else {
            return false;
        };
        if matches!(before, Some(None)) {
            return false;
        }
        let _alone = self.0.changing.lock();
        self.0.secrets.store(Arc::new(Secrets { newest: Some(newest), before: before.flatten() }));
        true
    }

    /// What makes and takes tickets for servers with these options.
    pub(crate) fn ticketer(&self, options: &impl Hash) -> Arc<dyn ProducesTickets> {
        let kind = digest(options);
        let mut ticketers = self.0.ticketers.lock();
        if let Some(ticketer) = ticketers.get(&kind).and_then(Weak::upgrade) {
            return ticketer;
        }
        ticketers.retain(|_, ticketer| ticketer.strong_count() > 0);
        let secrets = self.0.secrets.load_full();
        let derived = ArcSwap::from_pointee(Derived::of(secrets, &kind));
        let ticketer = Arc::new(Ticketer { keys: self.clone(), kind, derived });
        ticketers.insert(kind, Arc::downgrade(&ticketer));
        ticketer
    }

    /// The secrets at `now`; new ones where their time has come.
    fn secrets(&self, now: u64) -> Arc<Secrets> {
        let secrets = self.0.secrets.load_full();
        if !secrets.are_over(now) {
            return secrets;
        }
        let _alone = self.0.changing.lock();
        // Somebody may have been faster.
        let secrets = self.0.secrets.load_full();
        if !secrets.are_over(now) {
            return secrets;
        }
        // Where there are no random numbers tickets go on being made with what there is, rather than none.
        let Some(newest) = Secret::new(now) else { return secrets };
        let before = secrets.newest.as_ref().filter(|before| !before.is_over(now, 2 * USED));
        let changed = Arc::new(Secrets { newest: Some(newest), before: before.cloned() });
        self.0.secrets.store(Arc::clone(&changed));
        changed
    }
}

impl fmt::Debug for TicketKeys {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

/// A secret as it is saved.
fn secret(saved: &[u8]) -> Option<Secret> {
    let (since, bytes) = saved.split_first_chunk()?;
    let bytes: &[u8; SECRET] = bytes.try_into().ok()?;
    Some(Secret { bytes: Zeroizing::new(*bytes), since: u64::from_le_bytes(*since) })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// All that the options say: with another there are other keys.
fn digest(options: &impl Hash) -> Kind {
    struct Digesting(Context);
    impl Hasher for Digesting {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        /// What is asked for is the whole digest, not 64 bits of it.
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut digesting = Digesting(Context::new(&SHA256));
    options.hash(&mut digesting);
    let mut kind = [0; SHA256_OUTPUT_LEN];
    kind.copy_from_slice(digesting.0.finish().as_ref());
    kind
}

/// Makes tickets for servers of one kind, and takes them.
struct Ticketer {
    keys: TicketKeys,
    kind: Kind,
    derived: ArcSwap<Derived>,
}

/// What was derived from these secrets.
struct Derived {
    of: Arc<Secrets>,
    newest: Option<Key>,
    before: Option<Key>,
}

struct Key {
    name: [u8; NAME],
    seals: RandomizedNonceKey,
}

impl Derived {
    fn of(secrets: Arc<Secrets>, kind: &Kind) -> Self {
        let key = |secret: Option<&Secret>| secret.and_then(|secret| Key::of(secret, kind));
        let (newest, before) = (key(secrets.newest.as_ref()), key(secrets.before.as_ref()));
        Self { of: secrets, newest, before }
    }
}

impl Key {
    /// None is not to be expected: the lengths are the algorithm's.
    fn of(secret: &Secret, kind: &Kind) -> Option<Self> {
        let secret = Salt::new(HKDF_SHA256, b"smartproxy tickets").extract(secret.bytes.as_slice());
        let (mut name, mut key) = ([0; NAME], Zeroizing::new([0; SECRET]));
        secret.expand(&[b"key", kind], HKDF_SHA256).and_then(|made| made.fill(key.as_mut_slice())).ok()?;
        let mut named = [0; SECRET];
        secret.expand(&[b"name", kind], HKDF_SHA256).and_then(|made| made.fill(&mut named)).ok()?;
        name.copy_from_slice(named.first_chunk::<NAME>()?);
        Some(Self { name, seals: RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).ok()? })
    }

    /// ```text
    /// name of the key (8) | nonce (12) | sealed | tag (16)
    /// ```
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.seals.seal_in_place_append_tag(Aad::from(self.name), &mut sealed).ok()?;
        Some([self.name.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, nonce: &[u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.seals.open_in_place(nonce, Aad::from(self.name), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl Ticketer {
    /// The keys at `now`.
    fn derived(&self, now: u64) -> Arc<Derived> {
        let secrets = self.keys.secrets(now);
        let derived = self.derived.load_full();
        if Arc::ptr_eq(&derived.of, &secrets) {
            return derived;
        }
        let derived = Arc::new(Derived::of(secrets, &self.kind));
        self.derived.store(Arc::clone(&derived));
        derived
    }

    fn seal_at(&self, now: u64, plain: &[u8]) -> Option<Vec<u8>> {
        self.derived(now).newest.as_ref()?.seal(plain)
    }

    fn open_at(&self, now: u64, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let derived = self.derived(now);
        let before = derived.of.before.as_ref().filter(|before| !before.is_over(now, 2 * USED));
        let before = before.and(derived.before.as_ref());
        let mut keys = derived.newest.iter().chain(before);
        keys.find(|key| key.name == *name)?.open(nonce, sealed)
    }
}

impl fmt::Debug for Ticketer {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        2 * USED_FOR
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal_at(now(), plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open_at(now(), ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ServerOptions;

    const BEGAN: u64 = 1_700_000_000;

    fn keys() -> TicketKeys {
        let keys = TicketKeys::default();
        keys.secrets(BEGAN);
        keys
    }

    fn ticketer(keys: &TicketKeys, options: &ServerOptions) -> Ticketer {
        let kind = digest(options);
        let derived = ArcSwap::from_pointee(Derived::of(keys.0.secrets.load_full(), &kind));
        Ticketer { keys: keys.clone(), kind, derived }
    }

    #[test]
    fn a_ticket_is_taken_for_as_long_as_it_says_and_no_longer() {
        let keys = keys();
        let one = ticketer(&keys, &ServerOptions::default());
        let last = BEGAN + USED - 1;
        let ticket = one.seal_at(last, b"session").unwrap();
        for later in [0, 1, USED] {
            assert_eq!(one.open_at(last + later, &ticket).as_deref(), Some(b"session".as_slice()), "{later}");
        }
        assert_eq!(one.open_at(BEGAN + 2 * USED, &ticket), None, "made with a secret of twelve hours ago");
        // Where nobody came for a long time, the one before is not taken for fresh.
        let idle = one.seal_at(BEGAN + 3 * USED, b"session").unwrap();
        assert_eq!(one.open_at(BEGAN + 9 * USED, &idle), None);
        assert!(keys.0.secrets.load().before.is_none());
    }

    #[test]
    fn a_clock_that_was_wrong_does_not_keep_a_secret_for_ever() {
        let keys = keys();
        let one = ticketer(&keys, &ServerOptions::default());
        let ticket = one.seal_at(BEGAN, b"session").unwrap();
        assert!(one.open_at(BEGAN - 60, &ticket).is_some(), "a little back is no reason");
        assert!(one.open_at(BEGAN - USED - 1, &ticket).is_none());
        assert_eq!(keys.0.secrets.load().newest.as_ref().unwrap().since, BEGAN - USED - 1);
    }

    #[test]
    fn servers_with_other_options_do_not_take_it() {
        let keys = keys();
        let one = ticketer(&keys, &ServerOptions::default());
        let other = ticketer(&keys, &ServerOptions::default().alpn(vec![b"h2".to_vec()]));
        let ticket = one.seal_at(BEGAN, b"session").unwrap();
        assert!(ticketer(&keys, &ServerOptions::default()).open_at(BEGAN, &ticket).is_some());
        assert_eq!(other.open_at(BEGAN, &ticket), None);
    }

    #[test]
    fn those_with_the_same_options_share_what_is_derived() {
        let keys = keys();
        let one = keys.ticketer(&ServerOptions::default());
        let same = keys.ticketer(&ServerOptions::default());
        let other = keys.ticketer(&ServerOptions::default().tickets(1));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        drop((one, same));
        assert_eq!(keys.0.ticketers.lock().values().filter(|at| at.strong_count() > 0).count(), 1);
    }

    #[test]
    fn another_process_goes_on_with_them() {
        let (old, new) = (keys(), keys());
        let options = ServerOptions::default();
        let (ours, theirs) = (ticketer(&old, &options), ticketer(&new, &options));
        let first = ours.seal_at(BEGAN, b"first").unwrap();
        let second = ours.seal_at(BEGAN + USED, b"second").unwrap();
        assert_eq!(theirs.open_at(BEGAN + USED, &second), None);
        assert_eq!(TicketKeys::default().save(), None);
        assert!(new.restore(&old.save().unwrap()));
        assert_eq!(theirs.open_at(BEGAN + USED, &first).as_deref(), Some(b"first".as_slice()));
        assert_eq!(theirs.open_at(BEGAN + USED, &second).as_deref(), Some(b"second".as_slice()));
        let saved = old.save().unwrap();
        let longer = [&saved[..], &[0]].concat();
        for broken in [&[][..], &[2], &[FORM], &saved[..saved.len() - 1], &longer] {
            assert!(!new.restore(broken), "{broken:?}");
        }
        assert!(theirs.open_at(BEGAN + USED, &second).is_some(), "what cannot be read changes nothing");
    }

    #[test]
    fn what_was_touched_is_not_taken() {
        let one = ticketer(&keys(), &ServerOptions::default());
        let ticket = one.seal_at(BEGAN, b"session").unwrap();
        for at in 0..ticket.len() {
            let mut touched = ticket.clone();
            touched[at] ^= 1;
            assert_eq!(one.open_at(BEGAN, &touched), None, "byte {at}");
            assert_eq!(one.open_at(BEGAN, &ticket[..at]), None, "only {at} bytes");
        }
    }
}
