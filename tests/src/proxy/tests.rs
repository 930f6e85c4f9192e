use super::*;
use crate::wait::within;

/// A server that sends back what it gets, and a proxy in front of it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    Proxy::seeded(address, 7).await
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Whether a word comes back.
async fn returns(stream: &mut TcpStream) -> bool {
    if stream.write_all(b"word").await.is_err() {
        return false;
    }
    hears(stream).await
}

async fn hears(stream: &mut TcpStream) -> bool {
    let mut word = [0; 4];
    let read = within("a word or the end", stream.read_exact(&mut word)).await;
    read.is_ok_and(|_| word == *b"word")
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    let wait = Duration::from_millis(100);
    tokio::time::timeout(wait, hears(stream)).await.is_err()
}

#[tokio::test]
async fn in_a_blackhole_old_and_new_connections_stay_open_without_a_word() {
    let proxy = echo().await;
    let mut old = connect(&proxy).await;
    assert!(returns(&mut old).await);
    proxy.blackhole();
    let mut new = connect(&proxy).await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"word").await.unwrap();
        assert!(is_silent(stream).await);
    }
    proxy.heal();
    assert!(hears(&mut old).await && hears(&mut new).await);
}

#[tokio::test]
async fn a_blackhole_may_end_with_a_cut_of_all_that_knew_it() {
    let proxy = echo().await;
    let mut old = connect(&proxy).await;
    proxy.blackhole();
    let mut new = connect(&proxy).await;
    proxy.heal_cut();
    assert!(!hears(&mut old).await && !hears(&mut new).await);
    assert!(returns(&mut connect(&proxy).await).await);
}

#[tokio::test]
async fn a_mute_server_hears_and_what_it_says_is_held() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::seeded(listener.local_addr().unwrap(), 7).await;
    let mut client = connect(&proxy).await;
    let (mut server, _) = listener.accept().await.unwrap();
    proxy.mute();
    client.write_all(b"word").await.unwrap();
    assert!(hears(&mut server).await);
    server.write_all(b"word").await.unwrap();
    assert!(is_silent(&mut client).await);
    proxy.heal();
    assert!(hears(&mut client).await);
}

#[tokio::test]
async fn a_stall_and_a_cut_are_for_the_connections_of_now() {
    let proxy = echo().await;
    let mut stalled = connect(&proxy).await;
    assert!(returns(&mut stalled).await);
    proxy.stall();
    stalled.write_all(b"word").await.unwrap();
    assert!(is_silent(&mut stalled).await);
    let mut fresh = connect(&proxy).await;
    assert!(returns(&mut fresh).await);
    proxy.cut();
    assert!(!hears(&mut stalled).await && !hears(&mut fresh).await);
}

#[tokio::test]
async fn each_direction_takes_longer_by_the_delay() {
    let proxy = echo().await;
    let delay = Duration::from_millis(60);
    proxy.delay(delay);
    let mut stream = connect(&proxy).await;
    let begun = Instant::now();
    assert!(returns(&mut stream).await);
    assert!(begun.elapsed() >= 2 * delay);
}

#[tokio::test]
async fn a_share_of_the_chunks_resets_its_connection() {
    let proxy = echo().await;
    proxy.resets(0.1);
    let (mut kept, mut reset) = (0, 0);
    for _ in 0..30 {
        let mut stream = connect(&proxy).await;
        if returns(&mut stream).await {
            kept += 1;
        } else {
            reset += 1;
        }
    }
    assert!(kept > 0 && reset > 0, "{kept} kept, {reset} reset");
}
