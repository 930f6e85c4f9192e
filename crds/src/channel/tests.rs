//! The rules that the API server checks, run here on the types.
