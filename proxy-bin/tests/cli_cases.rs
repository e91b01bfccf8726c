//! What the commands say where there is no proxy to talk to, and what they say of themselves. After a change:
//! `TRYCMD=overwrite cargo test -p proxy-bin --test cli_cases`, and look at the difference.

#[test]
fn what_is_said_without_a_proxy() {
    trycmd::TestCases::new()
        .env("XDG_RUNTIME_DIR", "/nonexistent")
        .env("COLUMNS", "100")
        .case("tests/cli_cases/*.trycmd");
}
