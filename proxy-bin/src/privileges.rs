//! What the process gives up once it has what it needs: the rights of root, and leaving its memory behind.
//!
//! Ports are bound, logs are open and the admin API's token is read before; from then on none of that comes back. A process
//! that takes another one's place is born without them, gets the ports handed over, and has nothing to give up.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setgroups, setuid};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use tracing::warn;

use crate::config::Process;

/// Why the process does not become who it is to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("[process] user = \"{0}\": there is no such user on this machine")]
    NoUser(String),
    /// There is no such group.
    #[error("[process] group = \"{0}\": there is no such group on this machine")]
    NoGroup(String),
    /// A user without an entry has no group of its own.
    #[error(
        "[process] user = \"{0}\" has no entry on this machine, so its group is not known: set `group` too"
    )]
    GroupUnknown(String),
    /// Root is no drop.
    #[error("[process] user = \"{0}\" is root: name another user, or leave it out")]
    Root(String),
    /// Only root can become somebody else.
    #[error("[process] user = \"{0}\" needs root to begin with: start it as root, or leave `user` out")]
    NotRoot(String),
    /// The system refuses.
    #[error("cannot go on as user \"{user}\": {what}: {source}")]
    Refused {
        /// The user.
        user: String,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// It worked, and can be undone.
    #[error("cannot go on as user \"{0}\": the rights of root could be had again")]
    Regained(String),
}

/// Who the process is to be.
#[derive(Debug, Clone)]
pub struct Identity {
    name: String,
    user: Uid,
    group: Gid,
    /// Whether the user has an entry, which says what other groups it is in.
    has_entry: bool,
}

/// Who the process is to be, if it is to be somebody else than it is.
///
/// # Errors
/// [`PrivilegeError`]: what is wrong with what the configuration says, before anything is bound.
pub fn identity(process: &Process) -> Result<Option<Identity>, PrivilegeError> {
    let Some(name) = &process.user else { return Ok(None) };
    let unknown = || PrivilegeError::NoUser(name.clone());
    let entry = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let entry = entry.map_err(|_| unknown())?;
    let user = match (&entry, name.parse()) {
        (Some(entry), _) => entry.uid,
        (None, Ok(number)) => Uid::from_raw(number),
        (None, Err(_)) => return Err(unknown()),
    };
    let group = match &process.group {
        Some(group) => group_of(group)?,
        None => entry.as_ref().ok_or_else(|| PrivilegeError::GroupUnknown(name.clone()))?.gid,
    };
    if user.is_root() {
        return Err(PrivilegeError::Root(name.clone()));
    }
    let is_it = nix::unistd::getresuid().is_ok_and(|now| [now.real, now.effective, now.saved] == [user; 3]);
    if is_it {
        return Ok(None);
    }
    if !Uid::effective().is_root() {
        return Err(PrivilegeError::NotRoot(name.clone()));
    }
    let name = entry.as_ref().map_or_else(|| name.clone(), |entry| entry.name.clone());
    Ok(Some(Identity { name, user, group, has_entry: entry.is_some() }))
}

fn group_of(name: &str) -> Result<Gid, PrivilegeError> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let entry = Group::from_name(name).ok().flatten();
    entry.map(|entry| entry.gid).ok_or_else(|| PrivilegeError::NoGroup(name.to_owned()))
}

impl Identity {
    /// The user's number.
    #[must_use]
    pub fn user(&self) -> u32 {
        self.user.as_raw()
    }

    /// The group's number.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.group.as_raw()
    }

    /// Gives up, for this thread and those that it makes from now on, what no program could give back: once the user has changed,
    /// none that is started has more rights than this process, whatever its file says.
    ///
    /// # Errors
    /// [`PrivilegeError`]; the process should not go on then.
    pub fn confine(&self) -> Result<(), PrivilegeError> {
        confine().map_err(|source| PrivilegeError::Refused {
            user: self.name.clone(),
            what: "what programs may have that it starts",
            source,
        })
    }

    /// Does something with this user's rights, and no others, on a thread of its own: a name that the user has made leads
    /// nowhere where the user could not go.
    ///
    /// # Errors
    /// Where the thread cannot become the user.
    pub fn with_its_rights<T: Send>(&self, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
        let as_user = || {
            let groups: Vec<_> =
                self.groups().iter().map(|group| rustix::process::Gid::from_raw(group.as_raw())).collect();
            let group = rustix::process::Gid::from_raw(self.group.as_raw());
            let user = rustix::process::Uid::from_raw(self.user.as_raw());
            // Of this thread alone, which ends with it.
            rustix::thread::set_thread_groups(&groups)?;
            rustix::thread::set_thread_res_gid(group, group, group)?;
            rustix::thread::set_thread_res_uid(user, user, user)?;
            Ok(work())
        };
        std::thread::scope(|threads| {
            let thread = std::thread::Builder::new().spawn_scoped(threads, as_user)?;
            thread.join().unwrap_or_else(|_| Err(std::io::Error::other("it has panicked")))
        })
    }

    /// The groups that it is in.
    fn groups(&self) -> Vec<Gid> {
        let listed = CString::new(self.name.as_str()).ok().filter(|_| self.has_entry);
        listed
            .and_then(|name| nix::unistd::getgrouplist(&name, self.group).ok())
            .unwrap_or_else(|| vec![self.group])
    }

    /// Makes the process, all of its threads, this user's, and makes sure that there is no way back.
    ///
    /// # Errors
    /// [`PrivilegeError`]; the process should not go on then.
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        let refused = |what| {
            move |errno: nix::Error| PrivilegeError::Refused {
                user: self.name.clone(),
                what,
                source: errno.into(),
            }
        };
        match CString::new(self.name.as_str()) {
            Ok(name) if self.has_entry => initgroups(&name, self.group),
            _ => setgroups(&[self.group]),
        }
        .map_err(refused("its groups"))?;
        setgid(self.group).map_err(refused("its group"))?;
        setuid(self.user).map_err(refused("its user"))?;
        let users = nix::unistd::getresuid().map_err(refused("who it is now"))?;
        let all = [users.real, users.effective, users.saved] == [self.user; 3];
        if !all || setuid(Uid::from_raw(0)).is_ok() || setgid(Gid::from_raw(0)).is_ok() {
            return Err(PrivilegeError::Regained(self.name.clone()));
        }
        Ok(())
    }
}

/// Has this thread, and those that it makes, never have more rights than they have: no program that is started does, whatever its
/// file says (`no_new_privs`, and an empty bounding set of capabilities).
///
/// # Errors
/// What the system said.
pub fn confine() -> std::io::Result<()> {
    /// More than there are (capabilities(7): 41 of them); the kernel says where its own end.
    const MOST: u32 = 63;
    for number in 0..=MOST {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            // No such capability; or a root that may not do so, whose programs `no_new_privs` holds back all the same.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => break,
            removed => removed?,
        }
    }
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// What others may do with the files that the process makes, and whether it may leave its memory behind: clients' bytes,
/// and the admin API's token. Called again once it has become somebody else: the kernel starts anew then.
pub fn keep_to_itself(process: &Process) {
    rustix::process::umask(Mode::from_bits_truncate(process.umask.bits()));
    if process.core_dumps {
        return;
    }
    // The hard limit stays, so that an operator can allow it to a running process (prlimit(1)).
    let hard = rustix::process::getrlimit(Resource::Core).maximum;
    let none = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: hard });
    // Not even by a debugger of the same user.
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = none.and(hidden) {
        warn!(%error, "the process may leave its memory behind when it crashes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(user: &str, group: Option<&str>) -> String {
        let process =
            Process { user: Some(user.to_owned()), group: group.map(str::to_owned), ..Process::default() };
        identity(&process).unwrap_err().to_string()
    }

    #[test]
    fn whoever_is_not_there_is_named() {
        insta::assert_snapshot!(said("no-such-user", None), @r#"[process] user = "no-such-user": there is no such user on this machine"#);
        insta::assert_snapshot!(said("daemon", Some("no-such-group")), @r#"[process] group = "no-such-group": there is no such group on this machine"#);
        insta::assert_snapshot!(said("4000000000", None), @r#"[process] user = "4000000000" has no entry on this machine, so its group is not known: set `group` too"#);
        insta::assert_snapshot!(said("root", None), @r#"[process] user = "root" is root: name another user, or leave it out"#);
        insta::assert_snapshot!(said("0", None), @r#"[process] user = "0" is root: name another user, or leave it out"#);
    }

    #[test]
    fn who_is_not_root_becomes_nobody_else() {
        let numbered = |user: u32| Process {
            user: Some(user.to_string()),
            group: Some("1".to_owned()),
            ..Process::default()
        };
        let own = Uid::effective().as_raw();
        if own == 0 {
            assert_eq!(identity(&numbered(4_000_000_000)).unwrap().unwrap().user(), 4_000_000_000);
        } else {
            assert!(identity(&numbered(own)).unwrap().is_none(), "it is that user already");
            assert!(matches!(identity(&numbered(own + 1)), Err(PrivilegeError::NotRoot(_))));
        }
    }
}
