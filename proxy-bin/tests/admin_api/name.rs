//! The admin socket's name goes on leading to who serves, whatever becomes of its file.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use proxy_bin::control::State;

use crate::eventually;
use crate::http::At;
use crate::world::World;

/// Whether the outer hop answers by its name.
fn answers(world: &World) -> bool {
    let path = world.dir.path().join("outer.sock");
    std::os::unix::net::UnixStream::connect(&path).is_ok() && At::from(&*path).get("/healthz").status == 200
}

/// Somebody else's socket in the place of what is at `path`. In one step: between a removal and a bind the proxy would have made
/// its own again.
fn taken_by_another(path: &Path) -> UnixListener {
    let beside = path.with_extension("other");
    let other = UnixListener::bind(&beside).unwrap();
    std::fs::rename(&beside, path).unwrap();
    other
}

#[test]
fn a_socket_that_was_removed_is_made_again() {
    let world = World::new();
    std::fs::remove_file(world.dir.path().join("outer.sock")).unwrap();
    eventually("it is there again", || answers(&world));
    assert_eq!(world.outer.status().name, "outer");
}

#[test]
fn a_name_that_somebody_took_and_left_behind_is_had_again() {
    let world = World::new();
    let path = world.dir.path().join("outer.sock");
    drop(taken_by_another(&path));
    eventually("it is there again", || answers(&world));
}

#[test]
fn whoever_has_taken_the_name_and_lives_keeps_it_for_as_long() {
    let world = World::new();
    let path = world.dir.path().join("outer.sock");
    let other = taken_by_another(&path);
    let inode = || std::fs::metadata(&path).unwrap().ino();
    let theirs = inode();
    // Whoever looks connects; it is not taken from them at the first look, nor at the next.
    for _ in 0..2 {
        other.accept().unwrap();
        assert_eq!(inode(), theirs);
    }
    drop(other);
    eventually("it is there again", || answers(&world));
}

#[test]
fn who_hands_over_leaves_the_name_to_its_successor() {
    let world = World::new();
    world.outer.server.control().enter(State::HandingOver);
    let path = world.dir.path().join("outer.sock");
    std::fs::remove_file(&path).unwrap();
    let at = world.outer.on_tcp();
    // Twice as long as it is looked at.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while std::time::Instant::now() < until {
        assert!(!path.exists());
        assert_eq!(at.get("/healthz").status, 200);
    }
    world.outer.server.control().enter(State::Running);
    eventually("the upgrade came to nothing: it is there again", || answers(&world));
}
