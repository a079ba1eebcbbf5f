//! A proxy before an S3 server that reads along, and strikes at the requests that a test names.
//!
//! One request a connection: the server is asked to close after its answer, so that an answer ends
//! with its connection and needs no reading.

use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::wire::reset;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// RST; the server hears nothing.
    Reset,
    /// RST after half of the request's body; the server hears nothing.
    CutUpload,
    /// The server executes it, and its answer is lost: RST.
    LoseReply,
    /// The same, but nothing ever comes back.
    SwallowReply,
    /// Nothing comes back, and the server hears nothing.
    Blackhole,
    /// The answer comes so many milliseconds late.
    Late(u64),
    /// The answer comes in small pieces, with a pause after each.
    Trickle,
    /// An answer of the proxy's own, with this status and error code.
    Answer(u16, &'static str),
    /// The answer's body ends half-way.
    Truncate,
    /// The answer's head promises more bytes than come.
    TooLong,
    /// An answer that is no HTTP.
    Garbage,
}

/// Which requests: a method, and what the path and query must hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) method: &'static str,
    pub(super) holds: &'static str,
    pub(super) fault: Fault,
    pub(super) times: usize,
}

/// Passes all on until a rule says otherwise.
pub(super) struct Web {
    pub(super) port: u16,
    struck: Arc<AtomicUsize>,
}

impl Web {
    /// Before the server at `host:port`.
    pub(super) fn before(server: &str, rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let struck = Arc::new(AtomicUsize::new(0));
        let state = Arc::new(State {
            server: server.to_owned(),
            rule: Mutex::new(rule),
            struck: Arc::clone(&struck),
        });
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // A connection that breaks is what this is for.
                thread::spawn(move || drop(state.serve(client)));
            }
        });
        Self { port, struck }
    }

    /// How often it struck.
    pub(super) fn struck(&self) -> usize {
        self.struck.load(Ordering::SeqCst)
    }
}

struct State {
    server: String,
    rule: Mutex<Rule>,
    struck: Arc<AtomicUsize>,
}

impl State {
    fn fault(&self, line: &str) -> Option<Fault> {
        let mut rule = self.rule.lock().expect("no test panics here");
        let is_meant = rule.times > 0 && line.starts_with(rule.method) && line.contains(rule.holds);
        if !is_meant {
            return None;
        }
        rule.times -= 1;
        self.struck.fetch_add(1, Ordering::SeqCst);
        Some(rule.fault)
    }

    fn serve(&self, mut client: TcpStream) -> Result<()> {
        let head = head(&mut client)?;
        let line = head.lines().next().unwrap_or_default().to_owned();
        let length = content_length(&head);
        let fault = self.fault(&line);
        if fault == Some(Fault::CutUpload) {
            client.read_exact(&mut vec![0; length / 2])?;
        }
        match fault {
            Some(Fault::Reset | Fault::CutUpload) => return reset(&client),
            Some(Fault::Answer(status, code)) => {
                client.read_exact(&mut vec![0; length])?;
                return answer(&mut client, status, code);
            }
            Some(Fault::Garbage) => {
                client.read_exact(&mut vec![0; length])?;
                return client.write_all(b"\x00\x01 no such protocol\r\n\r\n");
            }
            Some(Fault::Blackhole) => return wait_for_end(&mut client),
            _ => {}
        }
        let reply = self.forward(&mut client, &head, length)?;
        let at = reply.windows(4).position(|four| four == b"\r\n\r\n");
        let body = at.map_or(reply.len(), |at| at + 4);
        match fault {
            Some(Fault::LoseReply) => reset(&client),
            Some(Fault::SwallowReply) => wait_for_end(&mut client),
            Some(Fault::Late(milliseconds)) => {
                thread::sleep(Duration::from_millis(milliseconds));
                client.write_all(&reply)
            }
            Some(Fault::Trickle) => {
                for piece in reply.chunks(reply.len().div_ceil(20).max(1)) {
                    client.write_all(piece)?;
                    thread::sleep(Duration::from_millis(100));
                }
                Ok(())
            }
            Some(Fault::Truncate) => client.write_all(&reply[..body + (reply.len() - body) / 2]),
            Some(Fault::TooLong) => {
                let head = String::from_utf8_lossy(&reply[..body]).into_owned();
                let longer = format!("Content-Length: {}", reply.len() - body + 100);
                let lines = head.split("\r\n").map(|line| {
                    let is_length = line.to_ascii_lowercase().starts_with("content-length:");
                    if is_length { longer.as_str() } else { line }
                });
                client.write_all(lines.collect::<Vec<_>>().join("\r\n").as_bytes())?;
                client.write_all(&reply[body..])
            }
            _ => client.write_all(&reply),
        }
    }

    /// The server's whole answer.
    fn forward(&self, client: &mut TcpStream, head: &str, length: usize) -> Result<Vec<u8>> {
        let mut server = TcpStream::connect(&self.server)?;
        let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        server.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes())?;
        std::io::copy(&mut client.take(length as u64), &mut server)?;
        let mut reply = Vec::new();
        server.read_to_end(&mut reply)?;
        Ok(reply)
    }
}

/// Up to the empty line, which is part of it.
fn head(client: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn content_length(head: &str) -> usize {
    let lower = head.to_ascii_lowercase();
    let mut lines = lower.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length:"));
    length.map_or(0, |length| length.trim().parse().expect("a length"))
}

fn answer(client: &mut TcpStream, status: u16, code: &str) -> Result<()> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>"
    );
    let length = body.len();
    client.write_all(
        format!("HTTP/1.1 {status} Injected\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .as_bytes(),
    )
}

fn wait_for_end(client: &mut TcpStream) -> Result<()> {
    std::io::copy(client, &mut std::io::sink()).map(drop)
}
