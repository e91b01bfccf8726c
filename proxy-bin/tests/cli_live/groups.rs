//! Groups that have a name, and the commands that change them.

use std::net::SocketAddr;

use crate::loopback::{echo, free_port};
use crate::world::{Hop, client, is_reset, run};

#[test]
fn a_member_is_weighed_added_and_removed_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, third] = [(); 3].map(|()| echo());
    let web = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = format!(
        "[groups.inner]\nmembers = [\"{first}\", \"{second}\"]\n[[routes]]\nname = \"web\"\n\
         match = {{ ports = [{}] }}\naction = {{ forward = \"@inner\" }}\n",
        web.port()
    );
    let hop = Hop::start_with(dir.path(), "grouped", "", &config);
    let said = |line: &str| run(&hop.socket, line);
    let row = |member: SocketAddr| {
        let groups = said("groups inner").fine();
        let line = groups.lines().find(|line| line.contains(&format!("→ {member} "))).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let told = said(&format!("target weight {first} 0")).fine();
    assert!(
        told.starts_with(&format!("{first} of group inner: weight 0, 0 connections; until a reload")),
        "{told}"
    );
    let _client = client(web);
    assert_eq!(row(first), format!("→ {first} 0 0 0 0 0 - up, set by hand"));
    assert!(row(second).starts_with(&format!("→ {second} 1 1 0 1 0 ")), "{}", row(second));
    said(&format!("target add @inner {third} --weight 200 --priority 0")).fine();
    assert!(row(third).starts_with(&format!("→ {third} 0 200 0 0 0 - up, set by hand")), "{}", row(third));
    let clients: Vec<_> = (0..4).map(|_| client(web)).collect();
    let status = said("status").fine();
    assert!(status.contains("route       web → @inner: 5 open"), "{status}");
    assert!(
        status.contains("group       inner: 5 open or in dial by way of 1 route, 3 of 3 members up"),
        "{status}"
    );
    assert!(said("routes").fine().contains("3 of 3 members up (smartproxy groups inner)"));
    let told = said(&format!("target remove inner {third} --kill")).fine();
    assert!(told.starts_with(&format!("{third} is no member of group inner any more: ")), "{told}");
    assert!(clients.iter().any(is_reset), "those that it had");
    for (line, error) in [
        (format!("target remove inner {third}"), "there is no member"),
        (format!("target weight inre {first} 1"), "there is no group"),
        ("groups inne".to_owned(), "there is no group inne, perhaps inner"),
    ] {
        let refused = said(&line);
        assert!(refused.code != 0 && refused.error.contains(error), "{line}: {refused:?}");
    }
}

#[test]
fn a_target_of_a_routes_own_list_is_weighed() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = [(); 2].map(|()| echo());
    let ports = [(); 2].map(|()| free_port());
    let route = |name: &str, port: u16| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [{port}] }}\n\
             action = {{ forward = [\"{first}\", \"{second}\"] }}\n"
        )
    };
    let config = format!("{}{}", route("web", ports[0]), route("other", ports[1]));
    let hop = Hop::start_with(dir.path(), "listed", "", &config);
    let said = |line: &str| run(&hop.socket, line);
    // Nobody has taken the route yet.
    let told = said(&format!("target weight web {first} 0")).fine();
    assert!(told.starts_with(&format!("{first} of route web: weight 0, 0 connections; until")), "{told}");
    assert!(said(&format!("target weight web {first} 0")).fine().contains("it was so before"));
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let _clients: Vec<_> = (0..4).map(|_| client(at(ports[0]))).collect();
    let _others: Vec<_> = (0..4).map(|_| client(at(ports[1]))).collect();
    let targets = said("targets --json").fine();
    let open = |route: &str, target: SocketAddr| {
        let targets: serde_json::Value = serde_json::from_str(&targets).unwrap();
        let all = targets.as_array().unwrap().iter();
        let mut of = all.filter(|one| one["route"] == route && one["target"] == target.to_string());
        of.next().unwrap()["connections"]["used"].as_u64().unwrap()
    };
    assert_eq!([first, second].map(|target| open("web", target)), [0, 4]);
    assert_eq!([first, second].map(|target| open("other", target)), [2, 2], "the same target elsewhere");
    for (line, error) in [
        (
            format!("target weight {first} 1"),
            "is a target of several groups or routes: name one of web, other",
        ),
        (format!("target weight @web {first} 1"), "there is no group"),
        (format!("target weight wbe {first} 1"), "there is no group"),
    ] {
        let refused = said(&line);
        assert!(refused.code != 0 && refused.error.contains(error), "{line}: {refused:?}");
    }
}
