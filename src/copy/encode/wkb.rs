//! PostGIS geometries of one declared SRID: ISO WKB into EWKB.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray};

use super::WrongArray;
use super::staged::Stage;
use crate::copy::error::Fault;
use crate::copy::wkb::to_ewkb;

pub(super) struct WkbStage {
    srid: i32,
    array: Option<BinaryArray>,
}

impl WkbStage {
    pub(super) const fn new(srid: i32) -> Self {
        Self { srid, array: None }
    }
}

impl Stage for WkbStage {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.array = Some(array.as_binary_opt::<i32>().ok_or(WrongArray)?.clone());
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        match &self.array {
            Some(array) if !array.is_null(index) => {
                let iso = array.value(index);
                to_ewkb(iso, self.srid, out).map_err(|_| Fault::Foreign)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
