//! Updating a fleet: what the next version is, who runs it in which order, and what comes next.
//!
//! All of it is pure: [`plan::plan`] makes a plan of a policy and an inventory, [`roll::next`] says what is to be done
//! now, and others do it. See decision 55.

pub mod inventory;
pub mod plan;
pub mod policy;
pub mod roll;
pub mod work;

pub use inventory::{Inventory, NodeFacts, NodeState};
pub use plan::{Plan, PlanRefused, Step, plan};
pub use policy::Policy;
pub use roll::{Action, Direction, Roll, next};
pub use work::{NodeTask, NodeWork, TaskFinding, TaskReport, TaskState};
