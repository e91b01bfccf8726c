use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::addr::{BindAddr, Endpoint};
use crate::dial::{Dial as _, TcpDialer};
use crate::listen::{Listen as _, ListenOptions, TcpListener, adopt, bind};
use crate::options::KeepAlive;

const BBR: Algorithm = Algorithm::known(b"bbr");
const CUBIC: Algorithm = Algorithm::known(b"cubic");
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const EVERYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn options(congestion: Congestion) -> ListenOptions {
    ListenOptions { backlog: 16, reuse_port: false, keep_alive: KeepAlive::default(), congestion }
}

fn listener(congestion: Congestion) -> std::net::TcpListener {
    bind(BindAddr::Ip(HERE), 0, &options(congestion)).unwrap()
}

fn has(socket: &impl std::os::fd::AsFd) -> Algorithm {
    kernel::of(&socket2::SockRef::from(socket)).unwrap()
}

/// What a socket of loopback is to have here.
fn expected(congestion: Congestion) -> Algorithm {
    let default = kernel::default_now().unwrap();
    congestion.choice(HERE, Some(default)).unwrap_or(default)
}

/// Both words, and each algorithm of some that this kernel lets us have. Says which it does not.
fn all() -> Vec<Congestion> {
    let usable = |name: &Algorithm| match name.usable() {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    };
    let named = [UNPACED, CUBIC, BBR].into_iter().filter(usable).map(Congestion::Named);
    [Congestion::Auto, Congestion::System].into_iter().chain(named).collect()
}

#[test]
fn only_loopback_is_not_paced_and_only_where_it_would_be() {
    let mapped = |ip: Ipv4Addr| IpAddr::V6(ip.to_ipv6_mapped());
    let loopback = [HERE, [127, 9, 9, 9].into(), Ipv6Addr::LOCALHOST.into(), mapped(Ipv4Addr::LOCALHOST)];
    let others = [EVERYWHERE, Ipv6Addr::UNSPECIFIED.into(), FAR, mapped(Ipv4Addr::new(10, 0, 0, 1))];
    let auto = |at, default: &str| Congestion::Auto.choice(at, default.parse().ok());
    for at in loopback {
        assert_eq!(auto(at, "bbr"), Some(UNPACED), "{at}");
        assert_eq!(auto(at, "bbr3"), Some(UNPACED), "{at}");
        assert_eq!(auto(at, "cubic"), None, "{at}");
        assert_eq!(auto(at, ""), None, "{at}: the kernel does not say");
        assert_eq!(Congestion::System.choice(at, Some(BBR)), None);
        assert_eq!(Congestion::Named(BBR).choice(at, Some(BBR)), Some(BBR));
    }
    for at in others {
        assert_eq!(auto(at, "bbr"), None, "{at}");
        assert_eq!(Congestion::System.choice(at, Some(BBR)), None);
        assert_eq!(Congestion::Named(CUBIC).choice(at, Some(BBR)), Some(CUBIC));
    }
}

#[test]
fn a_socket_of_loopback_loses_the_pacing_of_a_default_that_paces() {
    let default = kernel::default_now().unwrap();
    for (at, set) in [(HERE, UNPACED), (FAR, default), (EVERYWHERE, default)] {
        let socket = kernel::probe().unwrap();
        Congestion::Auto.begin_where(&socket, at, Some(BBR)).unwrap();
        assert_eq!(has(&socket), set, "{at}");
        let socket = kernel::probe().unwrap();
        Congestion::Auto.begin_where(&socket, at, Some(CUBIC)).unwrap();
        assert_eq!(has(&socket), default, "{at}");
    }
}

#[tokio::test]
async fn dialled_and_accepted_sockets_have_what_was_asked_for() {
    for congestion in all() {
        let listener = listener(congestion);
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let dialled = TcpDialer::new(congestion).dial((&Endpoint::Ip(addr)).into()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(has(&dialled), expected(congestion), "dialled, {congestion}");
        assert_eq!(has(&accepted), expected(congestion), "accepted, {congestion}");
    }
}

#[tokio::test]
async fn a_listener_of_every_address_accepts_with_the_systems_own() {
    for everywhere in [BindAddr::Dual, BindAddr::Ip(EVERYWHERE)] {
        let listener = bind(everywhere, 0, &options(Congestion::Auto)).unwrap();
        let addr = SocketAddr::new(HERE, listener.local_addr().unwrap().port());
        let listener = TcpListener::from_std(listener).unwrap();
        let _dialled = TcpDialer::default().dial((&Endpoint::Ip(addr)).into()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(Some(has(&accepted)), kernel::default_now(), "{everywhere:?}");
    }
}

#[tokio::test]
async fn a_listener_changes_for_whom_it_accepts_from_then_on() {
    let first = listener(Congestion::Named(UNPACED));
    let addr = Endpoint::Ip(first.local_addr().unwrap());
    let listener = TcpListener::from_std(first).unwrap();
    let dialer = TcpDialer::default();
    for congestion in all().into_iter().chain([Congestion::Named(UNPACED), Congestion::System]) {
        listener.set_options(&options(congestion)).unwrap();
        let _dialled = dialer.dial((&addr).into()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(has(&accepted), expected(congestion), "{congestion}");
    }
}

#[tokio::test]
async fn a_listener_that_somebody_else_has_bound_gets_it_too() {
    for congestion in all() {
        // As a predecessor may have left it.
        let adopted = listener(Congestion::Named(UNPACED));
        adopt(&adopted, &options(congestion)).unwrap();
        let addr = Endpoint::Ip(adopted.local_addr().unwrap());
        let adopted = TcpListener::from_std(adopted).unwrap();
        let _dialled = TcpDialer::default().dial((&addr).into()).await.unwrap();
        let (accepted, _) = adopted.accept().await.unwrap();
        assert_eq!(has(&accepted), expected(congestion), "{congestion}");
    }
}

#[tokio::test]
async fn one_that_the_kernel_does_not_have_is_named_wherever_it_is_wanted() {
    let nothing = Congestion::Named("no-such-thing".parse().unwrap());
    let said = "the kernel has no congestion control \"no-such-thing\": it permits ";
    let Congestion::Named(name) = nothing else { unreachable!() };
    let usable = name.usable().unwrap_err().to_string();
    assert!(usable.starts_with(said), "{usable}");
    assert!(permitted().iter().all(|one| usable.contains(one.as_str())), "{usable}");
    let bound = bind(BindAddr::Ip(HERE), 0, &options(nothing)).unwrap_err().to_string();
    assert!(bound.contains(said) && bound.starts_with("cannot listen on 127.0.0.1:"), "{bound}");
    let good = listener(Congestion::Auto);
    let addr = Endpoint::Ip(good.local_addr().unwrap());
    let dialled = TcpDialer::new(nothing).dial((&addr).into()).await.unwrap_err().to_string();
    assert!(dialled.starts_with(said), "{dialled}");
    let adopted = adopt(&good, &options(nothing)).unwrap_err().to_string();
    assert!(adopted.contains(said), "{adopted}");
}

#[test]
fn names_and_words_are_read_and_printed_back() {
    for text in ["auto", "system", "reno", "bbr", "bpf_cubic", "a.b-c_D1", "fifteen-letters"] {
        assert_eq!(text.parse::<Congestion>().unwrap().to_string(), text);
    }
    let error = |text: &str| text.parse::<Congestion>().unwrap_err().to_string();
    for text in ["", "sixteen--letters", "re no", "reno\0", "réno", "a/b"] {
        let expected =
            "expected \"auto\", \"system\" or the name of a congestion control such as \"cubic\", found";
        assert_eq!(error(text), format!("{expected} `{text}`"));
    }
    let error = "a b".parse::<Algorithm>().unwrap_err().to_string();
    assert_eq!(error, "expected the name of a congestion control such as \"cubic\", found `a b`");
}
