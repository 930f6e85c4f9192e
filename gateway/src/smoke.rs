//! `siar-gateway smoke`: whether a gateway does its job, as a client sees it.
//!
//! Owns: publishing, receiving, resuming, and one sentence for what failed. Never: repeats a token; waits without a
//! limit. Used by: `main`, so by people and by `helm test`.

mod client;
mod events;
mod failed;

pub use failed::Failed;

use crate::args::SmokeSettings;
use crate::clock;
use client::{Client, Stream};
use std::time::Duration;
use tokio::runtime::Builder;

/// Between two tries, while there is time for a further one.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries what `settings` name; the lines say what was seen.
pub fn run(settings: &SmokeSettings) -> Result<String, Failed> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(until_done(settings))
}

/// Tries again what may pass, as long as `--wait` says.
async fn until_done(settings: &SmokeSettings) -> Result<String, Failed> {
    let client = Client::new(settings)?;
    let begun = clock::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let name = format!("smoke {}.{tries}", begun.unix);
        let done = Box::pin(async {
            match &settings.channel {
                Some(topic) => all(&client, topic, &name).await,
                None => reach(&client, &name).await,
            }
        });
        let done = done.await;
        let late = clock::now().steady >= begun.steady + settings.wait;
        match done {
            Err(failed) if failed.may_pass() && !late => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// Publishes to `topic`, receives it, and resumes after it.
async fn all(client: &Client, topic: &str, name: &str) -> Result<String, Failed> {
    let (first, second) = (format!("{name}, first"), format!("{name}, second"));
    let mut stream = client.listen(topic, None).await?;
    stream.in_time(Stream::opening).await?;
    let sent = clock::now().steady;
    let position = client.publish(topic, &first).await?;
    let cursor = until(&mut stream, topic, &first, &[]).await?;
    let took = clock::now().steady - sent;
    drop(stream);
    client.publish(topic, &second).await?;
    let mut stream = client.listen(topic, Some(&cursor)).await?;
    until(&mut stream, topic, &second, &[&first]).await?;
    Ok(format!(
        "published to {topic:?} at {position}\nreceived it after {} ms\nresumed after it: what was published meanwhile came, and nothing twice\n",
        took.as_millis()
    ))
}

/// Reads until `data` came and answers where the stream is then. Others may publish, too.
async fn until(
    stream: &mut Stream,
    topic: &str,
    data: &str,
    before: &[&str],
) -> Result<String, Failed> {
    let read = async |stream: &mut Stream| loop {
        let event = stream.event().await?;
        match event.kind.as_str() {
            "siar.gap" => return Err(Failed::lost(topic, &event.data)),
            "siar.end" => return Err(Failed::ended(topic, &event.data)),
            _ if before.contains(&event.data.as_str()) => {
                return Err(Failed::Twice {
                    topic: topic.to_owned(),
                });
            }
            _ if event.data == data => return Ok(stream.cursor().to_owned()),
            _ => {}
        }
    };
    stream.in_time(read).await
}

/// Asks for a topic that nobody serves: only a gateway refuses it in its own words. Where somebody does, a stream will
/// do as well.
async fn reach(client: &Client, name: &str) -> Result<String, Failed> {
    let topic = name.replace([' ', '.'], "-");
    match client.listen(&topic, None).await {
        Ok(_) | Err(Failed::Refused { .. }) => Ok(format!(
            "a gateway answers at {}; with --channel NAME it is asked to publish, to deliver and to resume\n",
            client.url()
        )),
        Err(failed) => Err(failed),
    }
}
