//! `[admin] hops`: a proxy that names the other hops shows the whole chain, and is reloaded, frozen behind and disagreed with.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::eventually;
use crate::loopback::free_port;
use crate::world::{Hop, World, client, run};

/// Has a hop name others, by a reload.
fn name(hop: &Hop, others: &str) {
    let text = std::fs::read_to_string(&hop.config).unwrap();
    let own = format!("socket = \"{}\"\n", hop.socket.display());
    std::fs::write(&hop.config, text.replace(&own, &format!("{own}hops = [{others}]\n"))).unwrap();
    let said = run(&hop.socket, "reload");
    assert_eq!(said.code, 0, "{}{}", said.out, said.error);
    assert!(!said.out.contains("next start"), "hops are taken at once: {}", said.out);
}

fn quoted(socket: &Path) -> String {
    format!("\"{}\"", socket.display())
}

/// What the outer hop shows, once `holds` of it.
fn shown(world: &World, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let said = world.run("chain --json");
        let chain = serde_json::from_str(&said.out).ok()?;
        holds(&chain).then_some(chain)
    })
}

#[test]
fn without_a_word_the_hops_that_the_proxy_names_are_shown() {
    let world = World::new();
    let unnamed = world.run("chain");
    assert_eq!(unnamed.code, 2, "{}", unnamed.out);
    assert!(
        unnamed.error.contains("names no other hop") && unnamed.error.contains("[admin] hops"),
        "{}",
        unnamed.error
    );

    name(&world.outer, &quoted(&world.inner.socket));
    let _clients = [client(world.web), client(world.web), client(world.plain)];
    let chain = shown(&world, "both are joined", |chain| chain["on_all_hops"] == 2);
    assert_eq!(chain["hops"][1]["place"], world.inner.socket.display().to_string());
    assert_eq!((&chain["hops"][0]["connections"], &chain["hops"][1]["connections"]), (&3.into(), &2.into()));
    shown(&world, "the clocks are compared", |chain| {
        chain["hops"][1]["clock_ahead_s"].as_f64().is_some_and(|off| off.abs() < 1.0)
    });
    let told = world.run("chain").fine();
    assert!(told.starts_with("outer 3, inner 2: 2 on every hop, none on one side only\n"), "{told}");
    assert!(told.contains("\nHOP    STATE"), "{told}");
}

#[test]
fn an_inner_hop_that_is_frozen_is_told_with_since_when_and_what_waits_for_it() {
    let world = World::new();
    name(&world.outer, &quoted(&world.inner.socket));
    let _client = client(world.web);
    shown(&world, "it answers", |chain| chain["on_all_hops"] == 1 && !chain["hops"][1]["facts"].is_null());
    world.inner.signal(Signal::STOP);
    let chain = shown(&world, "it is silent", |chain| chain["hops"][1]["answers"] == false);
    assert!(chain["hops"][1]["silent_for_s"].as_f64().unwrap() > 0.0, "{chain}");
    assert!(chain["hops"][1]["silent_since"].as_f64().unwrap() > 1e9, "{chain}");
    assert_eq!(chain["hops"][1]["name"], "inner", "it is known by its name from before");
    let said = world.run("chain");
    assert_eq!(said.code, 1, "{}", said.error);
    assert!(said.out.starts_with("outer 1\n  1 in relay → "), "{}", said.out);
    assert!(said.out.contains("! inner has not answered for "), "{}", said.out);
    is_found(&world, "hop_silent/hop/inner", true);
    world.inner.signal(Signal::CONT);
    is_found(&world, "hop_silent/hop/inner", false);
    shown(&world, "it answers again", |chain| {
        chain["hops"][1]["answers"] == true && chain["on_all_hops"] == 1
    });
}

/// Waits until a finding is among those of the outer hop, or is not.
fn is_found(world: &World, id: &str, there: bool) {
    eventually(id, || {
        let findings = world.run("findings --json").out;
        (findings.contains(&format!("\"{id}\"")) == there).then_some(())
    });
}

/// What does not fit, but for advice.
fn wrong(chain: &Value) -> Vec<String> {
    let all = chain["disagreements"].as_array().unwrap().iter();
    all.filter(|one| one["advice"] == false).map(|one| one["sentence"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_inner_hop_that_is_more_patient_than_the_outer_one_is_told_until_it_is_mended() {
    let world = World::new();
    let inner = std::fs::read_to_string(&world.inner.config).unwrap();
    let patient = |idle: &str| format!("{inner}timeouts = {{ inactivity_timeout = \"{idle}\" }}\n");
    name(&world.outer, &quoted(&world.inner.socket));
    let fits = shown(&world, "they are compared", |chain| chain["not_compared"].is_null());
    assert_eq!(wrong(&fits), Vec::<String>::new(), "{fits}");

    std::fs::write(&world.inner.config, patient("20m")).unwrap();
    assert_eq!(run(&world.inner.socket, "reload").code, 0);
    let chain = shown(&world, "it is told", |chain| !wrong(chain).is_empty());
    let sentences = wrong(&chain);
    assert!(sentences[0].contains("inactivity_timeout is 20m here and 10m there"), "{sentences:?}");
    let told = world.run("chain").fine();
    assert!(told.contains("! outer → inner: deadlines of route \"web\""), "{told}");
    assert!(told.contains("      in inner: write timeouts = { inactivity_timeout = "), "{told}");

    is_found(&world, "hops_disagree/hop/inner", true);
    std::fs::write(&world.inner.config, patient("5m")).unwrap();
    assert_eq!(run(&world.inner.socket, "reload").code, 0);
    shown(&world, "it is mended", |chain| wrong(chain).is_empty());
    is_found(&world, "hops_disagree/hop/inner", false);
}

/// A hop in front of the world's outer one.
fn in_front(world: &World, dir: &Path) -> (Hop, SocketAddr) {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = format!(
        "[[listeners]]\nports = [{0}]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"first\"\nmatch = {{ ports = [{0}] }}\n\
         action = {{ forward = [\"{1}\"] }}\nsend_proxy = \"v2\"\n",
        at.port(),
        world.web
    );
    (Hop::start_with(dir, "first", "", &text), at)
}

#[test]
fn a_third_hop_is_joined_too_and_named_in_the_wrong_order_it_is_said() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    // The world's outer hop is the middle one now: it has to believe the first.
    let middle = std::fs::read_to_string(&world.outer.config).unwrap();
    let trusts = "bind = [\"127.0.0.1\"]\naccept_proxy = { optional = [\"127.0.0.1/32\"] }\n";
    std::fs::write(&world.outer.config, middle.replacen("bind = [\"127.0.0.1\"]\n", trusts, 1)).unwrap();
    assert_eq!(run(&world.outer.socket, "reload").code, 0);
    let (first, at) = in_front(&world, dir.path());
    name(&first, &format!("{}, {}", quoted(&world.inner.socket), quoted(&world.outer.socket)));
    let _client = client(at);
    let ask = || serde_json::from_str::<Value>(&run(&first.socket, "chain --json").out).ok();
    let wrong = eventually("the order is wrong", || ask().filter(|chain| !chain["not_joined"].is_null()));
    assert!(
        wrong["not_joined"].as_str().unwrap().contains("connections of inner have come through outer"),
        "{wrong}"
    );

    let text = std::fs::read_to_string(&first.config).unwrap();
    let hops = |a: &Path, b: &Path| format!("hops = [{}, {}]", quoted(a), quoted(b));
    let (outer, inner) = (&world.outer.socket, &world.inner.socket);
    std::fs::write(&first.config, text.replace(&hops(inner, outer), &hops(outer, inner))).unwrap();
    assert_eq!(run(&first.socket, "reload").code, 0);
    let chain = eventually("all three", || ask().filter(|chain| chain["on_all_hops"] == 1));
    let names: Vec<_> =
        chain["hops"].as_array().unwrap().iter().map(|hop| hop["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "outer", "inner"]);
}
