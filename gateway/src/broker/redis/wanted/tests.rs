use super::*;
use crate::broker::redis::topology::{Node, SLOTS};
use std::task::{Context, Waker};

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::channel(*name)).collect()
}

/// The connection of the one server, or in a cluster the one for what is not sharded.
fn here() -> Place {
    Place {
        node: Node::new("here", 6379),
        sharded: false,
    }
}

fn sharded(host: &str) -> Place {
    Place {
        node: Node::new(host, 6379),
        sharded: true,
    }
}

/// One server for all.
fn one() -> Wanted {
    let wanted = Wanted::new(0);
    wanted.serve(&Arc::new(Topology::one(here().node)));
    wanted
}

/// A cluster of two: slots up to `last` are here.
fn two(last: u16) -> Arc<Topology> {
    let mut topology = Topology::cluster();
    assert!(topology.assign(&here().node, 0, last));
    assert!(topology.assign(&sharded("there").node, last + 1, SLOTS - 1));
    Arc::new(topology)
}

#[test]
fn what_two_want_is_subscribed_once_and_ends_with_the_second() {
    let wanted = one();
    wanted.want(&names(&["a"]));
    wanted.want(&names(&["a"]));
    let work = wanted.work(&here()).unwrap();
    assert_eq!(work.subscribe, [Arc::from("a")]);
    wanted.done(&here(), &work);
    wanted.unwant(&names(&["a"]));
    assert_eq!(wanted.work(&here()), None);
    wanted.unwant(&names(&["a"]));
    assert_eq!(wanted.work(&here()).unwrap().unsubscribe, [Arc::from("a")]);
}

#[test]
fn what_was_wanted_and_given_up_in_between_is_no_work() {
    let wanted = one();
    wanted.want(&names(&["a"]));
    wanted.unwant(&names(&["a"]));
    assert_eq!(wanted.work(&here()), None);
}

#[test]
fn what_is_wanted_before_anybody_serves_it_is_work_then() {
    let wanted = Wanted::new(0);
    wanted.want(&names(&["a"]));
    assert_eq!(wanted.work(&here()), None);
    wanted.serve(&Arc::new(Topology::one(here().node)));
    let work = wanted.work(&here()).unwrap();
    assert!(work.subscribe.len() == 1 && work.returning.is_empty());
}

#[test]
fn a_new_connection_has_everything_to_do_and_what_stood_returns() {
    let wanted = one();
    wanted.want(&names(&["a", "b"]));
    wanted.want(&[Name::Pattern("c*".into())]);
    wanted.done(&here(), &wanted.work(&here()).unwrap());
    wanted.want(&names(&["d"]));
    let session = wanted.stand(&[]);
    wanted.restart(&here());
    let work = wanted.work(&here()).unwrap();
    assert_eq!((work.subscribe.len(), work.psubscribe.len()), (3, 1));
    assert_eq!(work.returning.len(), 2);
    assert!(wanted.stand(&[]) > session);
}

#[test]
fn what_is_wanted_again_before_it_was_given_up_on_the_connection_stands_as_it_stood() {
    let wanted = one();
    wanted.want(&names(&["a"]));
    wanted.done(&here(), &wanted.work(&here()).unwrap());
    wanted.unwant(&names(&["a"]));
    wanted.want(&names(&["a"]));
    assert_eq!(wanted.work(&here()), None);
    wanted.restart(&here());
    assert_eq!(wanted.work(&here()).unwrap().returning, [Arc::from("a")]);
}

#[tokio::test]
async fn what_is_being_given_up_does_not_stand_for_whoever_wants_it_again() {
    let wanted = one();
    wanted.want(&names(&["a"]));
    wanted.done(&here(), &wanted.work(&here()).unwrap());
    wanted.unwant(&names(&["a"]));
    let giving_up = wanted.work(&here()).unwrap();
    wanted.want(&names(&["a"]));
    let a = names(&["a"]);
    let mut standing = Box::pin(wanted.standing(&a));
    let mut context = Context::from_waker(Waker::noop());
    assert!(standing.as_mut().poll(&mut context).is_pending());
    wanted.done(&here(), &giving_up);
    let again = wanted.work(&here()).unwrap();
    assert!(again.subscribe.len() == 1 && again.returning.is_empty());
    wanted.done(&here(), &again);
    assert_eq!(Some(standing.await), wanted.stand(&[]));
}

#[test]
fn work_comes_in_batches() {
    let wanted = one();
    let many: Vec<String> = (0..=BATCH).map(|index| index.to_string()).collect();
    let many: Vec<Name> = many.iter().map(|name| Name::channel(&**name)).collect();
    wanted.want(&many);
    assert_eq!(wanted.work(&here()).unwrap().subscribe.len(), BATCH);
    assert_eq!(wanted.work(&here()).unwrap().subscribe.len(), 1);
}

#[test]
fn what_moves_is_subscribed_to_there_and_given_up_here() {
    // The slot of "foo" is 12,182.
    let wanted = Wanted::new(0);
    wanted.serve(&two(13_000));
    let (from, to) = (sharded("here"), sharded("there"));
    wanted.want(&[Name::Sharded("foo".into())]);
    wanted.want(&names(&["plain"]));
    let work = wanted.work(&from).unwrap();
    assert_eq!((work.ssubscribe.len(), work.subscribe.len()), (1, 0));
    wanted.done(&from, &work);
    let plain = wanted.work(&here()).unwrap();
    assert_eq!((plain.ssubscribe.len(), plain.subscribe.len()), (0, 1));
    wanted.done(&here(), &plain);
    assert_eq!(wanted.work(&to), None);
    let session = wanted.stand(&[]);
    wanted.serve(&two(12_000));
    assert!(wanted.stand(&[]) > session);
    let work = wanted.work(&to).unwrap();
    assert_eq!(work.returning, [Arc::from("foo")]);
    assert_eq!(wanted.work(&from).unwrap().sunsubscribe, work.ssubscribe);
    assert_eq!((wanted.work(&to), wanted.work(&here())), (None, None));
}

#[test]
fn what_a_server_does_not_serve_is_tried_again() {
    let wanted = Wanted::new(0);
    wanted.serve(&two(13_000));
    let (from, to) = (sharded("here"), sharded("there"));
    wanted.want(&[Name::Sharded("foo".into())]);
    let work = wanted.work(&from).unwrap();
    wanted.refused(&from, work.ssubscribe.clone());
    assert_eq!(wanted.work(&from).unwrap(), work);
    wanted.refused(&from, work.ssubscribe.clone());
    wanted.serve(&two(12_000));
    assert_eq!(wanted.work(&from), None);
    assert!(wanted.work(&to).is_some());
}

#[tokio::test]
async fn standing_waits_for_all_names() {
    let wanted = one();
    let both = names(&["a", "b"]);
    wanted.want(&both[..1]);
    wanted.done(&here(), &wanted.work(&here()).unwrap());
    let mut standing = Box::pin(wanted.standing(&both));
    let mut context = Context::from_waker(Waker::noop());
    assert!(standing.as_mut().poll(&mut context).is_pending());
    wanted.want(&both[1..]);
    wanted.done(&here(), &wanted.work(&here()).unwrap());
    assert_eq!(Some(standing.await), wanted.stand(&[]));
}
