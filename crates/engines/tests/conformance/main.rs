//! What every engine must do, asked through the traits alone: each case runs on SQLite and on the model, and every
//! invariant of the account is checked at its end.

/// Makes a test of each case for every engine.
macro_rules! on_every_engine {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $case() {
                crate::bed::on_sqlite(super::$case);
            })*
        }
        mod memory {
            $(#[test]
            fn $case() {
                crate::bed::on_memory(super::$case);
            })*
        }
    };
}

mod acls;
mod arrivals;
mod asides;
mod bed;
mod blobs;
mod changes;
mod commits;
mod containers;
mod copies;
mod copy;
mod differing;
mod histories;
mod items;
mod retention;
