//! x
mod golden; // printed files are what the types print today
