//! Settings in layers, each value checked where it is read:
//! `cargo run -p proxy-values --example settings -- timeout=5s buffer=64KiB workers=8`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use proxy_values::{Bound, ByteSize, Whole, spelling};

const NAMES: [&str; 3] = ["timeout", "buffer", "workers"];

/// What is set; each value is one that can be worked with.
#[derive(Debug)]
struct Settings {
    timeout: Bound,
    buffer: ByteSize,
    workers: Whole<1, 64>,
}

impl Settings {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Box<dyn Error>> {
        match name {
            "timeout" => self.timeout = value.parse()?,
            "buffer" => self.buffer = value.parse()?,
            "workers" => {
                self.workers =
                    Whole::new(value.parse()?).ok_or("expected a number of workers from 1 to 64")?;
            }
            other => {
                let meant = spelling::nearest(other, &NAMES);
                let hint = meant.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default();
                return Err(format!("there is no setting `{other}`{hint}").into());
            }
        }
        Ok(())
    }
}

fn main() {
    let mut settings =
        Settings { timeout: Bound::secs(30), buffer: ByteSize::kib(16), workers: Whole::nearest(4) };
    let given: Vec<String> = std::env::args().skip(1).collect();
    let examples =
        ["timeout=1m30s", "buffer=64KiB", "workers=65", "timout=1s", "timeout=30"].map(String::from);
    for setting in if given.is_empty() { &examples[..] } else { &given[..] } {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        match settings.set(name, value) {
            Ok(()) => println!("{setting}"),
            Err(error) => println!("{setting} is refused: {error}"),
        }
    }
    println!("timeout {}, buffer {}, workers {}", settings.timeout, settings.buffer, settings.workers);
}
