//! How many of a million clients a change of the configuration moves under a hash: those of the member that comes or goes, and a few
//! of the others, whose slots the table fills differently.

use proxy_upstream::balance::Weighed;
use proxy_upstream::{Balance, HashKey, Key};

use super::world::{Chooser, mix};

const CLIENTS: u32 = 1_000_000;

/// The members of a million client addresses.
fn homes(ids: &[u64]) -> Vec<u64> {
    let of = |id: &u64| Weighed { weight: 1, priority: 0, backup: false, id: mix(*id) };
    let members: Vec<_> = ids.iter().map(of).collect();
    let chooser = Chooser::new(&members, Balance::Hash(HashKey::Client));
    let home = |client: u32| {
        let key = Key::new(Some(std::net::Ipv4Addr::from(0x0A00_0000 + client).into()), None);
        // Nothing is open: no bound is near.
        ids[chooser.choose_of_all(key.hash(HashKey::Client).unwrap(), u64::MAX / 8, 1)]
    };
    (0..CLIENTS).map(home).collect()
}

#[test]
fn a_member_that_a_configuration_removes_or_adds_moves_its_own_clients_and_few_others() {
    for members in [2_u64, 10, 100, 1000, 10_000] {
        let all: Vec<u64> = (0..members).collect();
        let without: Vec<u64> = all.iter().copied().filter(|id| *id != members / 2).collect();
        let (with, without) = (homes(&all), homes(&without));
        let own = with.iter().filter(|home| **home == members / 2).count();
        let moved = with.iter().zip(&without).filter(|(with, without)| with != without).count();
        let (own, moved) = (own as f64 / f64::from(CLIENTS), moved as f64 / f64::from(CLIENTS));
        println!("{members} members: {:.3} % are its own, {:.3} % move", own * 100.0, moved * 100.0);
        let due = 1.0 / members as f64;
        assert!(own < due * 1.05 + 0.000_04, "{own} of {due}");
        assert!(moved <= own + 0.01, "{moved}, of which {own} are its own");
    }
}
