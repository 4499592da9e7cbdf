//! The ports of somebody who has nobody to tell, or nothing to keep.

use std::convert::Infallible;

use super::{Baselines, DeadLetters};
use crate::dead_letter::Lost;
use crate::state::{Memory, Overlay};

/// Where nothing but the count of what was lost is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Counted;

impl DeadLetters for Counted {
    type Error = Infallible;

    async fn bury(&mut self, _: usize, _: &[Lost]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Nothing outlives this process, or somebody else sees to it.
#[derive(Debug, Clone, Copy)]
pub struct MemoryAlone;

impl Baselines for MemoryAlone {
    type Error = Infallible;

    async fn save(&mut self, _: &dyn Memory, _: &mut Overlay) -> Result<bool, Infallible> {
        Ok(false)
    }
}
