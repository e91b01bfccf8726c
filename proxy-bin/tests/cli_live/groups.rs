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
