//! The bare `send()` loop: the least that any server can do, with the very bytes that Siar sends.
//!
//! Sockets are dealt to one or two threads; a message is one blocking write for each of them.

use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Messages and sockets that wait for a thread.
const QUEUE: usize = 4096;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache, no-transform\r\n\
    x-accel-buffering: no\r\nx-content-type-options: nosniff\r\nvary: Origin\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";

/// A sending thread: its sockets, and what it is to send. Sockets come by a lock and not by the queue, so that
/// a connect pays for no wake-up.
struct Hand {
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    messages: SyncSender<Arc<[u8]>>,
}

impl Hand {
    fn start() -> Self {
        let sockets = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (messages, queue) = sync_channel::<Arc<[u8]>>(QUEUE);
        let own = sockets.clone();
        std::thread::spawn(move || {
            while let Ok(message) = queue.recv() {
                own.lock()
                    .retain_mut(|socket| socket.write_all(&message).is_ok());
            }
        });
        Self { sockets, messages }
    }
}

/// Serves for ever on `listener` with `threads` sending threads.
pub fn serve(listener: &TcpListener, threads: usize) {
    let hands: Arc<[Hand]> = (0..threads).map(|_| Hand::start()).collect();
    let mut next = 0;
    let number = Arc::new(AtomicU64::new(0));
    for mut socket in listener.incoming().flatten() {
        let mut head = [0; 4096];
        let Ok(count) = socket.read(&mut head) else {
            continue;
        };
        if head.starts_with(b"POST") {
            let (hands, number) = (hands.clone(), number.clone());
            let first = head[..count].to_vec();
            std::thread::spawn(move || publish(socket, first, &hands, &number));
            continue;
        }
        let opening = [
            HEAD.as_bytes(),
            &chunk(b"retry: 2000\n: siar\n\nid: 0-0\n\n"),
        ]
        .concat();
        if socket.write_all(&opening).is_ok() {
            hands[next % hands.len()].sockets.lock().push(socket);
            next += 1;
        }
    }
}

/// Reads posts of one keep-alive connection; each body is a message.
fn publish(mut socket: TcpStream, mut buffer: Vec<u8>, hands: &[Hand], number: &AtomicU64) {
    socket.set_nodelay(true).expect("a TCP socket");
    let mut more = [0; 16 * 1024];
    loop {
        while let Some((body, end)) = whole(&buffer) {
            let offset = number.fetch_add(1, Ordering::Relaxed) + 1;
            let event = chunk(&[b"data: ", &buffer[body..end], b"\n"].concat());
            let mark = chunk(format!("id: abcdef-{offset}\n\n").as_bytes());
            let bytes: Arc<[u8]> = [event, mark].concat().into();
            for hand in hands {
                hand.messages.send(bytes.clone()).expect("the thread lives");
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

/// Where the body of the first request or answer begins and ends, once it is all there.
pub fn whole(buffer: &[u8]) -> Option<(usize, usize)> {
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
