//! A proxy before a PostgreSQL server that reads along, and strikes at a moment that a test names.
//!
//! It knows the frames of the protocol, and from the start-up packet whose connection it is.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// When it strikes. A connection meets each moment at most once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    /// Once the client has connected, before anything is read.
    Connect,
    /// Once the client wants to log in, before the server hears of it.
    Login,
    /// Before the n-th message of row data.
    Row(usize),
    /// Before the trailer of the row data.
    Trailer,
    /// After all row data, before the server says that the command was completed.
    Completion,
    /// After that, before the server says that it is ready for another.
    Ready,
    /// Before the next message once rows have come over any connection.
    WhileReading,
}

/// What it does then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// RST on both sides.
    Reset,
    /// FIN on both sides.
    Cut,
    /// FIN towards the client alone, after this many bytes of the message.
    HalfClose(usize),
    /// Nothing passes any more, and nothing is read.
    Blackhole,
    /// All that comes is taken, and nothing passed on.
    Swallow,
    /// The message passes byte by byte, each after so many milliseconds.
    Trickle(u64),
    /// Bytes that are no message go before it.
    Garbage,
    /// The message's byte at this offset is turned over, the length of five bytes included.
    Flip(usize),
    /// The server's error of this SQLSTATE in its place; then FIN.
    Error(&'static str),
}

/// Whose connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Whose {
    /// All but the first so many.
    From(usize),
    Keeper,
    Worker,
    Catalog,
}

/// One fault, so many times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) whose: Whose,
    pub(super) when: Moment,
    pub(super) what: Fault,
    pub(super) times: usize,
}

/// Passes all on until a rule says otherwise.
pub(super) struct Wire {
    pub(super) port: u16,
    state: Arc<State>,
}

struct State {
    upstream: AtomicU16,
    rules: Mutex<Vec<Rule>>,
    struck: AtomicUsize,
    is_reading: AtomicBool,
}

impl Wire {
    pub(super) fn before(port: u16, rules: &[Rule]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let state = Arc::new(State {
            upstream: AtomicU16::new(port),
            rules: Mutex::new(rules.to_vec()),
            struck: AtomicUsize::new(0),
            is_reading: AtomicBool::new(false),
        });
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let state = Arc::clone(&shared);
                // A connection that breaks is what this is for.
                thread::spawn(move || drop(state.serve(client, number)));
            }
        });
        Self { port, state }
    }

    /// How often it struck.
    pub(super) fn struck(&self) -> usize {
        self.state.struck.load(Ordering::SeqCst)
    }

    /// Connections from now on lead there.
    pub(super) fn lead_to(&self, port: u16) {
        self.state.upstream.store(port, Ordering::SeqCst);
    }
}

impl State {
    /// The fault for a moment of a connection, if there is one.
    fn fault(&self, number: usize, name: &str, is_now: impl Fn(Moment) -> bool) -> Option<Fault> {
        let mut rules = self.rules.lock().expect("no test panics here");
        let rule = rules.iter_mut().find(|rule| {
            let is_theirs = match rule.whose {
                Whose::From(first) => number >= first,
                Whose::Keeper => name.ends_with(" keeper"),
                Whose::Worker => name.contains(" worker "),
                Whose::Catalog => name.ends_with(" catalog"),
            };
            rule.times > 0 && is_theirs && is_now(rule.when)
        })?;
        rule.times -= 1;
        self.struck.fetch_add(1, Ordering::SeqCst);
        Some(rule.what)
    }

    fn serve(&self, mut client: TcpStream, number: usize) -> Result<()> {
        if let Some(fault) = self.fault(number, "", |when| when == Moment::Connect) {
            return strike(fault, &client, &client, &[]);
        }
        let start = packet(&mut client)?;
        let name = application_name(&start);
        if let Some(fault) = self.fault(number, &name, |when| when == Moment::Login) {
            return strike(fault, &client, &client, &[]);
        }
        let upstream = self.upstream.load(Ordering::SeqCst);
        let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
        server.write_all(&start)?;
        let (mut from, mut into) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut into);
            let _ = into.shutdown(Shutdown::Both);
        });
        self.read_along(&client, &mut server, number, &name)
    }

    /// Passes the server's messages on, one by one.
    fn read_along(
        &self,
        client: &TcpStream,
        server: &mut TcpStream,
        number: usize,
        name: &str,
    ) -> Result<()> {
        let mut rows = 0;
        let mut place = Place::Else;
        loop {
            let Ok(message) = message(server) else {
                return client.shutdown(Shutdown::Both);
            };
            let is_row = message[0] == b'd';
            rows += usize::from(is_row);
            self.is_reading.fetch_or(is_row, Ordering::SeqCst);
            place = match (message[0], place) {
                (b'd', _) if message[5..] == [0xff, 0xff] => Place::Trailer,
                (b'd', _) => Place::Row,
                (b'c', _) => Place::Done,
                (b'C', Place::Done) => Place::Completion,
                (b'Z', Place::Completion) => Place::Ready,
                _ => Place::Else,
            };
            let is_now = |when: Moment| match when {
                Moment::Row(wanted) => place == Place::Row && rows == wanted,
                Moment::Trailer => place == Place::Trailer,
                Moment::Completion => place == Place::Completion,
                Moment::Ready => place == Place::Ready,
                Moment::WhileReading => self.is_reading.load(Ordering::SeqCst),
                Moment::Connect | Moment::Login => false,
            };
            match self.fault(number, name, is_now) {
                None => (&*client).write_all(&message)?,
                Some(fault) => strike(fault, client, server, &message)?,
            }
        }
    }
}

/// Where in a COPY the server's messages are.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Row,
    Trailer,
    Done,
    Completion,
    Ready,
    Else,
}

/// An error ends the connection; otherwise it goes on.
fn strike(fault: Fault, client: &TcpStream, server: &TcpStream, message: &[u8]) -> Result<()> {
    let mut to_client = client;
    match fault {
        Fault::Reset => {
            reset(client)?;
            reset(server)?;
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Fault::Cut => end(client, server),
        Fault::HalfClose(bytes) => {
            to_client.write_all(&message[..bytes.min(message.len())])?;
            client.shutdown(Shutdown::Write)?;
            swallow(server)
        }
        Fault::Blackhole => {
            // Until the client is gone: nothing was read of it, so its end shows in the peek.
            let mut byte = [0];
            while !matches!(client.peek(&mut byte), Ok(0) | Err(_)) {
                thread::sleep(Duration::from_millis(50));
            }
            end(client, server)
        }
        Fault::Swallow => swallow(server),
        Fault::Trickle(milliseconds) => {
            for byte in message {
                thread::sleep(Duration::from_millis(milliseconds));
                to_client.write_all(&[*byte])?;
            }
            Ok(())
        }
        Fault::Garbage => {
            to_client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
            to_client.write_all(message)
        }
        Fault::Flip(offset) => {
            let mut flipped = message.to_vec();
            flipped[offset] ^= 0xff;
            to_client.write_all(&flipped)
        }
        Fault::Error(sqlstate) => {
            let body = format!("SFATAL\0VFATAL\0C{sqlstate}\0Minjected\0\0");
            let length = (body.len() as u32 + 4).to_be_bytes();
            to_client.write_all(&[b"E", &length[..], body.as_bytes()].concat())?;
            end(client, server)
        }
    }
}

fn end(client: &TcpStream, server: &TcpStream) -> Result<()> {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

fn swallow(mut server: &TcpStream) -> Result<()> {
    std::io::copy(&mut server, &mut std::io::sink())?;
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

/// What is dropped now is reset, not closed.
pub(super) fn reset(stream: &TcpStream) -> Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    // Clones of it are open elsewhere.
    stream.shutdown(Shutdown::Read)
}

/// A packet without a type: a start-up packet or a cancel request.
fn packet(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut packet = length.to_vec();
    packet.resize(u32::from_be_bytes(length) as usize, 0);
    client.read_exact(&mut packet[4..])?;
    Ok(packet)
}

fn message(server: &mut TcpStream) -> Result<Vec<u8>> {
    let mut head = [0; 5];
    server.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut message = head.to_vec();
    message.resize(1 + length, 0);
    server.read_exact(&mut message[5..])?;
    Ok(message)
}

fn application_name(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start).into_owned();
    let mut words = text
        .split('\0')
        .skip_while(|word| *word != "application_name");
    words.nth(1).unwrap_or_default().to_owned()
}
