//! The tests of Siar on real servers: one binary, a line of purpose for each part.

use tests::browser::Browser;
use tests::flask::Flask;
use tests::follow::Follower;
use tests::gateway::{Gateway, Setup as GatewaySetup};
use tests::listen::Listener;
use tests::manifest::Channel;
use tests::redis::Redis;

mod access; // who may come in, from where, and what a refusal says
mod broker; // how a Redis is reached, and what is left there
mod browser; // the main job: Flask publishes, a page listens, the gateway dies in between
mod chart; // what Helm makes of the chart, refuses, installs, changes and takes away
mod cluster; // a real Kubernetes API server knows Channels, tokens and who may do what
mod config_secret; // the configuration from the Secret of the operator, whatever happens to it and to the API server
mod connections; // several requests on one connection, and the wrong protocol for a port
mod crd; // what the API server refuses of a Channel and how, what it keeps and shows
mod drain; // SIGTERM: told, spread over the window, exit code
mod encoding; // what is published arrives byte for byte, whatever is in it
mod endings; // every stream ends with a named reason
mod flask_sse; // the payloads of Flask-SSE, its 20 tests, its bugs, the real app
mod fleet; // the fleets of the harness are what an operator finds on a real cluster
mod golden; // printed files are what the code prints
mod harness; // the harness itself: Redis, Flask and Chromium do what the other tests rely on
mod hostile_input; // whatever is sent is answered or cut, counted, and hurts nobody else
mod inspect; // history and presence, and who may know them
mod juggernaut; // its payloads, its events for the app
mod limits; // how many and how often, and what is answered beyond
mod metrics; // every metric exists and moves, labels are bounded, logs keep secrets
mod monitoring; // dashboards, alerts and what is scraped: they ask for what is told, and show what happens
mod node; // the chart on a real node: it installs, serves, and what happens to it costs no message
mod operator; // Channels of a real API server become what real gateways serve, and statuses that people read
mod publish; // each way to publish, and what is answered
mod reload; // manifests that change, `check`, the command line
mod resume; // nothing lost, nothing twice, or one gap: over both brokers, through every failure
mod revoke; // what a new configuration does to open streams
mod roles; // operator and gateway have the rights that they need, and no others
mod rolling; // a rolling update behind a balancer: no page and no publisher notices more than a named end
mod rules; // rules that are not served, Secrets that are not there
mod servers; // the issuer of tokens and the webhook of the harness do what the other tests rely on
mod slow_client; // who stops reading costs a bounded number of bytes and delays nobody
mod smoke; // `siar-gateway smoke`: what it says of a gateway that does its job, and of each that does not
mod soak; // minutes of thousands of streams, of faults and changes: every message accounted for, nothing left behind
mod subscribe; // each way to ask for a stream, and its first bytes
mod tidy; // the rules of style that a machine can check
