//! Which rule is taken, against a plain walk over all of them.

use super::*;
use proptest::prelude::*;

struct NoFields;

impl Fields for NoFields {
    fn any(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

struct SomeFields(Vec<(&'static str, &'static str)>);

impl Fields for SomeFields {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.iter().any(|(one, value)| *one == name && test(value.as_bytes()))
    }
}

fn facts<'a>(host: &'a str, path: &'a str, fields: &'a dyn Fields) -> RequestFacts<'a> {
    RequestFacts {
        method: "GET",
        host: Some(host).filter(|host| !host.is_empty()),
        path,
        query: None,
        fields,
    }
}

fn rule(host: &str, path: &str) -> RequestMatch {
    let hosts = if host.is_empty() { Vec::new() } else { vec![host.parse().unwrap()] };
    let path = match path.split_at_checked(1) {
        None => None,
        Some(("=", path)) => Some(PathMatch::exact(path).unwrap()),
        Some(("~", path)) => Some(PathMatch::Pattern(path.parse().unwrap())),
        Some(_) => Some(PathMatch::prefix(path).unwrap()),
    };
    RequestMatch { hosts, path, ..RequestMatch::default() }
}

fn taken(rules: &[(&str, &str)], host: &str, path: &str) -> Option<usize> {
    let table = RequestTable::new(rules.iter().map(|(host, path)| rule(host, path)).collect()).unwrap();
    table.find(&facts(host, path, &NoFields)).unwrap()
}

#[test]
fn a_prefix_ends_at_a_segment() {
    let rules = [("", "/api"), ("", "/files/"), ("", "/api/v2")];
    let at = |path| taken(&rules, "a", path);
    assert_eq!([at("/api"), at("/api/"), at("/api/x"), at("/apix")], [Some(0), Some(0), Some(0), None]);
    assert_eq!([at("/files"), at("/files/"), at("/files/a")], [None, Some(1), Some(1)]);
    assert_eq!([at("/api/v2/x"), at("/api/v22")], [Some(2), Some(0)]);
    assert_eq!(taken(&[("", "/")], "a", "/"), Some(0));
}

#[test]
fn the_host_comes_first_then_the_path_then_the_number_of_conditions() {
    let rules = [
        ("", "=/x"),
        ("*.example.org", "=/x"),
        ("a.example.org", ""),
        ("a.example.org", "/"),
        ("a.example.org", "~/{one}"),
        ("*.a.example.org", ""),
        ("*", "=/y"),
    ];
    assert_eq!(taken(&rules, "A.Example.org.", "/x"), Some(4));
    assert_eq!(taken(&rules, "a.example.org", "/x/y"), Some(3));
    assert_eq!(taken(&rules, "b.a.example.org", "/x"), Some(5), "more labels");
    assert_eq!(taken(&rules, "b.example.org", "/x"), Some(1));
    assert_eq!(taken(&rules, "example.com", "/x"), Some(0));
    assert_eq!((taken(&rules, "", "/y"), taken(&rules, "c", "/y")), (None, Some(6)));
    let more = RequestMatch { methods: vec!["GET".to_owned()], ..rule("", "=/x") };
    let table = RequestTable::new(vec![rule("", "=/x"), more.clone()]).unwrap();
    assert_eq!(table.find(&facts("a", "/x", &NoFields)).unwrap(), Some(1));
    let post = RequestFacts { method: "POST", ..facts("a", "/x", &NoFields) };
    assert_eq!(table.find(&post).unwrap(), Some(0));
    assert_eq!(RequestTable::new(vec![more.clone(), more]), Err(SameRules { first: 0, second: 1 }));
}

#[test]
fn paths_are_compared_in_one_form_and_what_has_several_is_refused() {
    let rules = [("", "=/a b~"), ("", "/admin")];
    let rules = [("", rules[0].1.replace(' ', "%20")), ("", rules[1].1.to_owned())];
    let table = RequestTable::new(rules.iter().map(|(host, path)| rule(host, path)).collect()).unwrap();
    let at = |path: &str| table.find(&facts("a", path, &NoFields));
    assert_eq!(at("/a%20b%7e"), Ok(Some(0)));
    assert_eq!(
        [at("/x/../%61dmin/y"), at("/./admin"), at("/admin/..")],
        [Ok(Some(1)), Ok(Some(1)), Ok(None)]
    );
    assert_eq!([at("/admin%2Fx"), at("/x\\admin")], [Err(SeveralReadings::Slash); 2]);
    assert_eq!(at("//admin"), Err(SeveralReadings::Empty));
    assert_eq!([at("/%0a"), at("/%zz"), at("/%4")], [Err(SeveralReadings::Encoding); 3]);
    assert_eq!(at("*"), Ok(None));
    let any = RequestTable::new(vec![rule("", "/"), rule("b", "")]).unwrap();
    assert_eq!(any.find(&facts("b", "//x", &NoFields)), Ok(Some(1)), "nobody looks at the path");
}

#[test]
fn patterns_name_what_they_stand_for() {
    let pattern: PathPattern = "/users/{id}/*/{rest*}".parse().unwrap();
    let view = |path: &'static str| PathView::new(path).unwrap();
    let whole = view("/users/7/posts/a/b");
    assert_eq!(pattern.captures(&whole), Some(vec![("id", "7"), ("rest", "a/b")]));
    assert_eq!(pattern.captures(&view("/users/7/posts/")), Some(vec![("id", "7"), ("rest", "")]));
    for path in ["/users/7/posts", "/users//x/y", "/user/7/x/y"] {
        assert!(PathView::new(path).map_or(true, |view| !pattern.matches(&view)), "{path}");
    }
    for (wrong, said) in [
        ("users", "begin with a slash"),
        ("/a{b}", "the segment \"a{b}\""),
        ("/{a*}/b", "the segment \"{a*}\""),
        ("/{a}/{a}", "twice"),
        ("/{}", "the segment"),
        ("/a?b", "question mark"),
        ("/a%2fb", "encoded slash"),
    ] {
        let error = wrong.parse::<PathPattern>().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn fields_parameters_and_services_are_conditions() {
    let is = |name: &str, is| FieldMatch { name: name.to_owned(), is };
    let fields = SomeFields(vec![("x-a", "1"), ("x-a", "2"), ("content-type", "application/grpc+proto")]);
    let one = |rule: RequestMatch, query, path| {
        let table = RequestTable::new(vec![rule]).unwrap();
        table.find(&RequestFacts { query, ..facts("a", path, &fields) }).unwrap().is_some()
    };
    let of_fields = |list| RequestMatch { fields: list, ..RequestMatch::default() };
    assert!(one(
        of_fields(vec![is("x-a", FieldIs::Exact("2".to_owned())), is("x-b", FieldIs::Absent)]),
        None,
        "/"
    ));
    assert!(!one(of_fields(vec![is("x-a", FieldIs::Exact("3".to_owned()))]), None, "/"));
    assert!(!one(of_fields(vec![is("x-b", FieldIs::Present)]), None, "/"));
    let of_query = |list| RequestMatch { query: list, ..RequestMatch::default() };
    let q = || vec![is("q", FieldIs::Exact("a b".to_owned()))];
    assert!(one(of_query(q()), Some("x&q=a+b"), "/") && one(of_query(q()), Some("%71=a%20b"), "/"));
    assert!(!one(of_query(q()), None, "/") && !one(of_query(q()), Some("q=a%2"), "/"));
    let grpc = || RequestMatch { grpc_service: Some("p.S".to_owned()), ..RequestMatch::default() };
    assert!(
        one(grpc(), None, "/p.S/Call") && !one(grpc(), None, "/p.S2/Call") && !one(grpc(), None, "/p.S/")
    );
}

proptest! {
    /// The same as a walk over all rules that compares each with each.
    #[test]
    fn the_table_does_as_a_plain_walk(
        rules in proptest::collection::vec((0..6_usize, 0..8_usize), 1..12),
        host in 0..5_usize,
        path in 0..7_usize,
    ) {
        let hosts = ["", "*", "*.org", "*.b.org", "a.b.org", "c.org"];
        let paths = ["", "/", "/a", "/a/", "/a/b", "=/a", "=/a/b", "~/{x}/b"];
        let mut seen: Vec<(&str, &str)> = rules.into_iter().map(|(host, path)| (hosts[host], paths[path])).collect();
        seen.sort_unstable();
        seen.dedup();
        let host = ["", "a.b.org", "c.org", "x.b.org", "com"][host];
        let path = ["/", "/a", "/a/", "/a/b", "/c/b", "/a/b/c", "/ab"][path];
        let list: Vec<_> = seen.iter().map(|(host, path)| rule(host, path)).collect();
        let host_rank = |pattern: &str| match pattern {
            "" => Some(0),
            "*" => (!host.is_empty()).then_some(1),
            _ if pattern.starts_with("*.") => host.ends_with(&pattern[1..]).then_some(1 + pattern.matches('.').count() * 2),
            _ => (pattern == host).then_some(100),
        };
        let path_rank = |written: &str| {
            if written.is_empty() { return Some(0); }
            let parts: Vec<_> = path.split('/').collect();
            let below = |text: &str| {
                path == text || path.starts_with(text) && (text.ends_with('/') || path[text.len()..].starts_with('/'))
            };
            match written.split_at(1) {
                ("=", text) => (text == path).then_some(1000),
                ("~", _) => (parts.len() == 3 && !parts[1].is_empty() && parts[2] == "b").then_some(500),
                (_, _) => below(written).then_some(written.len()),
            }
        };
        let best = seen.iter().enumerate().filter_map(|(at, (h, p))| Some(((host_rank(h)?, path_rank(p)?, std::cmp::Reverse(at)), at))).max();
        let table = RequestTable::new(list).unwrap();
        prop_assert_eq!(table.find(&facts(host, path, &NoFields)).unwrap(), best.map(|(_, at)| at));
    }
}
