//! The bare `send()` loop: the least that any server can do, with the very bytes that Siar sends.
//!
//! Sockets are dealt to one or two threads; a message is one blocking write for each of them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Messages and sockets that wait for a thread.
const QUEUE: usize = 4096;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache, no-transform\r\n\
    x-accel-buffering: no\r\nx-content-type-options: nosniff\r\nvary: Origin\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";

enum Work {
    Socket(TcpStream),
    Message(Arc<[u8]>),
}

/// Serves for ever on `listener` with `threads` sending threads.
pub fn serve(listener: &TcpListener, threads: usize) {
    let senders: Arc<[SyncSender<Work>]> = (0..threads)
        .map(|_| {
            let (sender, work) = sync_channel(QUEUE);
            std::thread::spawn(move || send_all(&work));
            sender
        })
        .collect();
    let next = AtomicUsize::new(0);
    let number = Arc::new(AtomicU64::new(0));
    for socket in listener.incoming().flatten() {
        let senders = senders.clone();
        let mut socket = socket;
        let mut head = [0; 4096];
        let Ok(count) = socket.read(&mut head) else {
            continue;
        };
        if head.starts_with(b"POST") {
            let number = number.clone();
            let first = head[..count].to_vec();
            std::thread::spawn(move || publish(socket, first, &senders, &number));
            continue;
        }
        let opening = [
            HEAD.as_bytes(),
            &chunk(b"retry: 2000\n: siar\n\nid: 0-0\n\n"),
        ]
        .concat();
        if socket.write_all(&opening).is_ok() {
            let sender = &senders[next.fetch_add(1, Ordering::Relaxed) % senders.len()];
            sender.send(Work::Socket(socket)).expect("the thread lives");
        }
    }
}

fn send_all(work: &Receiver<Work>) {
    let mut sockets: Vec<TcpStream> = Vec::new();
    while let Ok(work) = work.recv() {
        match work {
            Work::Socket(socket) => sockets.push(socket),
            Work::Message(bytes) => sockets.retain_mut(|socket| socket.write_all(&bytes).is_ok()),
        }
    }
}

/// Reads posts of one keep-alive connection; each body is a message.
fn publish(
    mut socket: TcpStream,
    mut buffer: Vec<u8>,
    senders: &[SyncSender<Work>],
    number: &AtomicU64,
) {
    socket.set_nodelay(true).expect("a TCP socket");
    let mut more = [0; 16 * 1024];
    loop {
        while let Some((body, end)) = whole(&buffer) {
            let offset = number.fetch_add(1, Ordering::Relaxed) + 1;
            let event = chunk(&[b"data: ", &buffer[body..end], b"\n"].concat());
            let mark = chunk(format!("id: abcdef-{offset}\n\n").as_bytes());
            let bytes: Arc<[u8]> = [event, mark].concat().into();
            for sender in senders {
                sender
                    .send(Work::Message(bytes.clone()))
                    .expect("the thread lives");
            }
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
            if socket.write_all(answer).is_err() {
                return;
            }
            buffer.drain(..end);
        }
        match socket.read(&mut more) {
            Ok(count) if count > 0 => buffer.extend_from_slice(&more[..count]),
            _ => return,
        }
    }
}

/// Where the body of the first request begins and ends, once it is all there.
fn whole(buffer: &[u8]) -> Option<(usize, usize)> {
    let body = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..body])
        .ok()?
        .to_ascii_lowercase();
    let length: usize = head
        .split("content-length:")
        .nth(1)?
        .split("\r\n")
        .next()?
        .trim()
        .parse()
        .ok()?;
    (buffer.len() >= body + length).then_some((body, body + length))
}

fn chunk(payload: &[u8]) -> Vec<u8> {
    [
        format!("{:x}\r\n", payload.len()).as_bytes(),
        payload,
        b"\r\n",
    ]
    .concat()
}
