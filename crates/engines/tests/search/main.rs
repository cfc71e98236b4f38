//! The search index: what it decides is what reading decides, whatever is searched for and however far it is.

mod bed;
mod filters;
mod life;
