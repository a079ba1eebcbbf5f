//! Child processes with bounded waits, signalled by process id and never left behind.

use std::fmt;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How a process ended, and what it said.
pub(crate) struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Itself, when it ended with this code; panics with what it said otherwise.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Its standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "code {:?}, signal {:?}", self.code, self.signal)?;
        write!(
            f,
            "--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}

/// Runs it to its end. One that takes longer than `limit` is killed, and that is a panic.
#[track_caller]
pub(crate) fn run(command: &mut Command, limit: Duration) -> Outcome {
    start(command).wait(limit)
}

/// Starts it, with its output gathered in the background.
pub(crate) fn start(command: &mut Command) -> Running {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = Gathered::from(child.stdout.take().expect("stdout is piped"));
    let stderr = Gathered::from(child.stderr.take().expect("stderr is piped"));
    Running {
        child,
        stdout,
        stderr,
    }
}

/// A started process. Killed when dropped, also when it is stopped.
pub(crate) struct Running {
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
}

impl Running {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended; a stopped process has not.
    pub(crate) fn is_running(&mut self) -> bool {
        self.status().is_none()
    }

    /// What it has said on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// SIGKILL, and waits for the end. Nothing happens to one that has ended.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGSTOP: it stands still, sockets and files open.
    pub(crate) fn stop(&mut self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on.
    pub(crate) fn resume(&mut self) {
        self.signal("CONT");
    }

    /// SIGINT, as Ctrl-C sends it.
    pub(crate) fn interrupt(&mut self) {
        self.signal("INT");
    }

    /// SIGTERM, as service managers send it.
    pub(crate) fn terminate(&mut self) {
        self.signal("TERM");
    }

    fn signal(&mut self, name: &str) {
        assert!(
            self.is_running(),
            "it ended before SIG{name}:\n{}",
            self.stderr()
        );
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -{name} failed");
    }

    /// Waits for its end, at most `limit`; then it is killed, and that is a panic.
    #[track_caller]
    pub(crate) fn wait(mut self, limit: Duration) -> Outcome {
        match self.ended_within(limit) {
            Some(status) => self.outcome(status),
            None => {
                self.kill();
                let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
                panic!("still running after {limit:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
            }
        }
    }

    /// Waits for its end, at most `limit`, and kills it then: `None` when it was killed.
    pub(crate) fn wait_or_kill(mut self, limit: Duration) -> Option<Outcome> {
        match self.ended_within(limit) {
            Some(status) => Some(self.outcome(status)),
            None => {
                self.kill();
                None
            }
        }
    }

    fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.status() {
                return Some(status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    fn outcome(&self, status: ExitStatus) -> Outcome {
        Outcome {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.at_end(),
            stderr: self.stderr.at_end(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A pipe read to its end by a thread, so that the process never waits for a reader.
struct Gathered {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Gathered {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                into.lock()
                    .expect("no reader panics")
                    .extend(&buffer[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// All of it; a grandchild that keeps the pipe open is not waited for.
    fn at_end(&self) -> String {
        for _ in 0..200 {
            if self.reader.is_finished() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.text()
    }
}

#[test]
fn output_and_code_come_back() {
    let script = "echo out; echo err >&2; exit 3";
    let outcome = run(
        Command::new("sh").args(["-c", script]),
        Duration::from_secs(10),
    );
    assert_eq!(outcome.stdout, "out\n");
    assert_eq!(outcome.stderr, "err\n");
    outcome.expect_code(3);
}

#[test]
fn a_stopped_process_stands_still_goes_on_and_can_be_killed() {
    let mut sleep = start(Command::new("sleep").arg("0.2"));
    sleep.stop();
    thread::sleep(Duration::from_millis(400));
    assert!(sleep.is_running());
    sleep.resume();
    sleep.wait(Duration::from_secs(10)).expect_code(0);

    let mut sleep = start(Command::new("sleep").arg("60"));
    let entry = format!("/proc/{}", sleep.pid());
    sleep.stop();
    drop(sleep);
    assert!(!std::path::Path::new(&entry).exists());
}

#[test]
fn a_wait_has_an_end() {
    let sleep = || start(Command::new("sleep").arg("60"));
    assert!(sleep().wait_or_kill(Duration::from_millis(50)).is_none());
    let waited = std::panic::catch_unwind(|| sleep().wait(Duration::from_millis(50)).code);
    assert!(waited.is_err());
}

#[test]
fn an_interrupt_is_told_from_an_exit() {
    let mut sleep = start(Command::new("sleep").arg("60"));
    sleep.interrupt();
    let outcome = sleep.wait(Duration::from_secs(10));
    assert_eq!((outcome.code, outcome.signal), (None, Some(2)));
}
