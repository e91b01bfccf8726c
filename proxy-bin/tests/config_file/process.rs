//! What is said about `[process]`.

use insta::assert_snapshot;
use proxy_core::Bound;

use crate::{ROUTE, before_route, good};

#[test]
fn nothing_is_given_up_and_nothing_is_left_behind_unless_it_is_said_otherwise() {
    let process = good(ROUTE).process;
    assert_eq!((process.user, process.group, process.core_dumps), (None, None, false));
    assert_eq!((process.umask.bits(), process.upgrade_timeout), (0o027, Bound::secs(30)));
}

#[test]
fn a_group_without_a_user() {
    assert_snapshot!(before_route("[process]\ngroup = \"proxy\""), @r#"
error: `group` needs `user`
 --> proxy.toml:2:9
  |
2 | group = "proxy"
  |         ^^^^^^^ the process would stay root
  |
  = help: name the user to go on as: user = "smartproxy"
"#);
}

#[test]
fn no_mask() {
    assert_snapshot!(before_route("[process]\numask = \"27\""), @r#"
error: expected three octal digits such as "027", found `27`
 --> proxy.toml:2:9
  |
2 | umask = "27"
  |         ^^^^
"#);
    assert_snapshot!(before_route("[process]\numask = 27"), @r#"
error: expected three octal digits in quotes, such as "027"
 --> proxy.toml:2:9
  |
2 | umask = 27
  |         ^^ this is the number 27
"#);
    assert_snapshot!(before_route("[process]\numask = \"089\""), @r#"
error: expected three octal digits such as "027", found `089`
 --> proxy.toml:2:9
  |
2 | umask = "089"
  |         ^^^^^
"#);
}
