//! Redis: quiet about `PING`.

use std::process::Command;

use chain_harness::{Peer, scenario};
use proxy_upstream::health::HealthCause;

use super::{checking, follows, is_up, settled, since};

const CONFIG: &str = "port PORT_A\nbind 127.0.0.1\nsave \"\"\nappendonly no\ndir DIR\nloglevel verbose\n";

async fn redis(more: &str) -> Option<Peer> {
    let command = |program: &_, file: &std::path::Path, _: &_| {
        let mut command = Command::new(program);
        command.arg(file);
        command
    };
    Peer::program("redis-server", "redis-server", &format!("{CONFIG}{more}"), command).await
}

#[test]
fn is_up_while_it_answers_and_says_nothing_of_it() {
    scenario(async {
        let Some(mut redis) = redis("").await else { return };
        let first = settled(&redis).await;
        let hop = checking(redis.addr(), r#"{ kind = "redis", interval = "100ms", timeout = "1s" }"#);
        is_up(&hop).await;
        let said = since(&redis, first);
        // What it says of clients at all, it says of any.
        let odd = |line: &String| !line.contains("Accepted") && !line.contains("Client closed connection");
        assert!(!said.iter().any(odd), "{said:#?}");
        follows(&hop, &mut redis, HealthCause::Timeout).await;
    });
}

#[test]
fn one_that_wants_a_password_is_up() {
    scenario(async {
        let Some(redis) = redis("requirepass secret\n").await else { return };
        let hop = checking(redis.addr(), r#"{ kind = "redis", interval = "100ms", timeout = "1s" }"#);
        is_up(&hop).await;
    });
}
