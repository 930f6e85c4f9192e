//! The tests of Siar on real servers: one binary, a line of purpose for each part.

mod harness; // the harness itself: Redis, Flask and Chromium do what the other tests rely on
