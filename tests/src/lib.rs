//! The tests are in `all/`: one binary, because each one more costs a link.
