//! A store that answers each request with an error that quotes all of it: the worst there is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// The form of its replies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Xml,
    Json,
    Plain,
}

/// Starts it; it ends with the test's process. Its address, `127.0.0.1:port`.
pub(super) fn start(status: &'static str, form: Form) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, status, form));
        }
    });
    address
}

fn answer(mut stream: TcpStream, status: &str, form: Form) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // The head is enough: that is where the secrets are.
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => request.extend(&buffer[..count]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request);
    let body = match form {
        Form::Xml => format!(
            "<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>expired</Message>\
             <Request>{request}</Request></Error>"
        ),
        Form::Json => json(&request),
        Form::Plain => format!("refused\n\n{request}"),
    };
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // The other side may be gone.
    let _ = stream.write_all(reply.as_bytes());
}

/// Pretty, with a space between name and value.
fn json(request: &str) -> String {
    let headers = request.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.into()))
    });
    let headers: serde_json::Map<_, _> = headers.collect();
    let line = request.lines().next().unwrap_or_default();
    let document = serde_json::json!({"request": line, "headers": headers});
    serde_json::to_string_pretty(&document).expect("JSON")
}
