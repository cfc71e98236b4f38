//! A Thunderbird without a window, driven by Marionette, Gecko's remote control: JSON in frames of `length:text` over
//! TCP (firefox-source-docs.mozilla.org, "Marionette, Protocol").

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sterna_testkit::wait::until;

/// How long it may take to start.
const START: Duration = Duration::from_secs(90);

/// How long one step may take.
const STEP: Duration = Duration::from_secs(90);

/// What every step can use.
const LIBRARY: &str = include_str!("library.js");

/// A running Thunderbird; ended when it is dropped.
pub struct Thunderbird {
    process: Child,
    wire: BufReader<TcpStream>,
    last: u64,
}

impl Thunderbird {
    /// Starts it on a profile with these preferences.
    pub fn start(home: &Path, preferences: &[(&str, Value)]) -> Self {
        let profile = home.join("profile");
        fs::create_dir_all(&profile).unwrap();
        let line = |(name, value): &(&str, Value)| format!("user_pref({}, {value});\n", json!(name));
        fs::write(profile.join("user.js"), preferences.iter().map(line).collect::<String>()).unwrap();
        let log = fs::File::create(home.join("log")).unwrap();
        let mut command = Command::new("thunderbird");
        command.args(["--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile"]);
        command.arg(&profile).env("HOME", home).env("MOZ_LOG", "IMAP:4").stdin(Stdio::null());
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let (port, _) = until("Thunderbird", START, || {
            fs::read_to_string(profile.join("MarionetteActivePort")).ok()?.trim().parse::<u16>().ok()
        });
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(STEP)).unwrap();
        let mut thunderbird = Thunderbird { process, wire: BufReader::new(stream), last: 0 };
        thunderbird.frame();
        thunderbird.call("WebDriver:NewSession", json!({ "capabilities": {} }));
        thunderbird.call("Marionette:SetContext", json!({ "value": "chrome" }));
        thunderbird.call("WebDriver:SetTimeouts", json!({ "script": STEP.as_millis() as u64 }));
        thunderbird
    }

    /// Runs the body of an asynchronous function in Thunderbird itself, and gives what it returns.
    pub fn run(&mut self, body: &str, arguments: &[&str]) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1], given = [...arguments];\n{LIBRARY}\n\
             (async () => {{ {body} }})().then(value => done({{ value }}), error => done({{ error: String(error) }}));"
        );
        let sandbox = json!({ "script": script, "args": arguments, "sandbox": "system", "newSandbox": true });
        let answer = self.call("WebDriver:ExecuteAsyncScript", sandbox);
        let answer = &answer["value"];
        assert!(answer["error"].is_null(), "{body}: {}", answer["error"]);
        answer["value"].clone()
    }

    fn call(&mut self, name: &str, parameters: Value) -> Value {
        self.last += 1;
        let text = json!([0, self.last, name, parameters]).to_string();
        write!(self.wire.get_mut(), "{}:{text}", text.len()).unwrap();
        let answer = self.frame();
        assert!(answer[2].is_null(), "{name}: {}", answer[2]);
        answer[3].clone()
    }

    fn frame(&mut self) -> Value {
        let mut length = Vec::new();
        self.wire.read_until(b':', &mut length).unwrap();
        let length = String::from_utf8_lossy(&length[..length.len() - 1]).parse().unwrap();
        let mut text = vec![0; length];
        self.wire.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

impl Drop for Thunderbird {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
