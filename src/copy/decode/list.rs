//! Arrays, multiranges and `hstore`: a count, then parts of one kind, into lists and maps.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_schema::{FieldRef, Fields as ArrowFields};

use super::parts::{Ends, Part, Present, Wire, element_of, fields_of, not_an_array};
use super::structure::RangeDecoder;
use super::validity::Validity;
use super::{ColumnDecoder, Fields, Notes, Restated};
use crate::copy::error::{Fault, FieldError};
use crate::mapping::Codec;

/// `MAXDIM` in PostgreSQL's `array.h`.
const MOST_DIMENSIONS: i32 = 6;

/// How a type's values list their parts.
pub(super) trait Parted: Send {
    /// Gathers the parts of one value. A value that no list holds is refused before any.
    fn split(&self, wire: Wire<'_>, parts: &mut Part, notes: &mut Notes) -> Result<(), Fault>;
}

/// `array_send` in PostgreSQL's `arrayfuncs.c`: the number of dimensions, whether there is room
/// for NULLs, the element's oid, each dimension's size and lower bound, the elements.
pub(super) struct ArrayForm {
    element_oid: u32,
}

impl Parted for ArrayForm {
    #[inline]
    fn split(&self, mut wire: Wire<'_>, parts: &mut Part, notes: &mut Notes) -> Result<(), Fault> {
        let dimensions = wire.int()?;
        let flags_at = wire.at();
        let flags = wire.int()?;
        if !(0..=MOST_DIMENSIONS).contains(&dimensions) || !matches!(flags, 0 | 1) {
            return Err(Fault::BadForm);
        }
        if u32::from_be_bytes(wire.bytes()?) != self.element_oid {
            return Err(Fault::OtherOid);
        }
        let count = match dimensions {
            0 => 0,
            1 => {
                let count = wire.count(0)?;
                match (count, wire.int()?) {
                    (1.., 1) => {}
                    (_, lower_bound) => return Err(no_list(wire, count, lower_bound)),
                }
                count
            }
            _ => return Err(many_dimensions(wire, dimensions)),
        };
        if count.checked_mul(4).is_none_or(|least| least > wire.left()) {
            return Err(Fault::BadForm);
        }
        let mut has_null = false;
        for _ in 0..count {
            let (start, is_null) = wire.part()?;
            has_null |= is_null;
            parts.push(start);
        }
        wire.end()?;
        match (flags, has_null) {
            (0, true) => Err(Fault::BadForm),
            (1, false) => {
                // The flag says only that there is room for NULLs, or once was a NULL.
                let at = flags_at + 2;
                notes.restated.push(Restated { at, word: 0 });
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with an array of one dimension that has no elements, or does not begin at 1.
#[cold]
fn no_list(mut wire: Wire<'_>, count: usize, _lower_bound: i32) -> Fault {
    match pass_over(&mut wire, count) {
        Ok(()) if count == 0 => Fault::NoElements,
        Ok(()) => Fault::OtherLowerBound,
        Err(fault) => fault,
    }
}

#[cold]
fn many_dimensions(mut wire: Wire<'_>, dimensions: i32) -> Fault {
    let mut count = 1_usize;
    for _ in 0..dimensions {
        let size = wire.int().and_then(|size| {
            wire.int()?;
            usize::try_from(size).map_err(|_| Fault::BadForm)
        });
        let whole = size.map(|size| count.checked_mul(size));
        count = match whole {
            Ok(Some(whole)) => whole,
            Ok(None) => return Fault::BadForm,
            Err(fault) => return fault,
        };
    }
    match pass_over(&mut wire, count) {
        Ok(()) => Fault::ManyDimensions,
        Err(fault) => fault,
    }
}

/// Passes over elements that are not decoded; each takes four bytes at least, so that the loop
/// ends with the bytes.
fn pass_over(wire: &mut Wire<'_>, count: usize) -> Result<(), Fault> {
    for _ in 0..count {
        wire.part()?;
    }
    wire.end()
}

/// `multirange_send` in PostgreSQL's `multirangetypes.c`: a count, then ranges behind their
/// lengths.
pub(super) struct MultirangeForm;

impl Parted for MultirangeForm {
    #[inline]
    fn split(&self, mut wire: Wire<'_>, parts: &mut Part, _notes: &mut Notes) -> Result<(), Fault> {
        for _ in 0..wire.count(4)? {
            parts.push(wire.required_part()?);
        }
        wire.end()
    }
}

/// Lists of parts of one kind.
pub(super) struct ListDecoder<F> {
    form: F,
    field: FieldRef,
    parts: Part,
    ends: Ends,
    present: Present,
    validity: Validity,
}

pub(super) fn array_decoder(
    codec: &Codec,
    element_oid: u32,
    element: &Codec,
) -> Box<dyn ColumnDecoder> {
    let form = ArrayForm { element_oid };
    ListDecoder::boxed(form, codec, Part::of(element))
}

pub(super) fn multirange_decoder(codec: &Codec, bound: &Codec) -> Box<dyn ColumnDecoder> {
    let field = element_of(&codec.arrow_type());
    let range = RangeDecoder::required(fields_of(field.data_type()), bound);
    ListDecoder::boxed(MultirangeForm, codec, Part::new(Box::new(range)))
}

impl<F: Parted + 'static> ListDecoder<F> {
    fn boxed(form: F, codec: &Codec, parts: Part) -> Box<dyn ColumnDecoder> {
        Box::new(Self {
            form,
            field: element_of(&codec.arrow_type()),
            parts,
            ends: Ends::default(),
            present: Present::default(),
            validity: Validity::default(),
        })
    }
}

impl<F: Parted> ColumnDecoder for ListDecoder<F> {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            form,
            parts,
            ends,
            present,
            ..
        } = self;
        ends.begin(fields.rows());
        present.walk(fields, notes, |wire, notes| {
            let before = parts.len();
            if let Some(wire) = wire {
                form.split(wire, parts, notes)?;
            }
            ends.push(parts.len() - before)
        })?;
        // A value that a part refuses keeps its parts, and is NULL.
        parts.decode(fields, notes, present, |part| ends.row_in_block(part))?;
        present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let values = self.parts.finish(|part| self.ends.row_of(part))?;
        let field = FieldRef::clone(&self.field);
        ListArray::try_new(field, self.ends.take(), values, self.validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}

/// `hstore_send` in PostgreSQL's `hstore_io.c`: a count, then keys, which are never NULL, and
/// values behind their lengths.
pub(super) struct HstoreDecoder {
    entries: FieldRef,
    fields: ArrowFields,
    keys: Part,
    values: Part,
    ends: Ends,
    present: Present,
    validity: Validity,
}

impl HstoreDecoder {
    pub(super) fn new(codec: &Codec) -> Self {
        let entries = element_of(&codec.arrow_type());
        Self {
            fields: fields_of(entries.data_type()),
            entries,
            keys: Part::of(&Codec::Text),
            values: Part::of(&Codec::Text),
            ends: Ends::default(),
            present: Present::default(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for HstoreDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            keys,
            values,
            ends,
            present,
            ..
        } = self;
        ends.begin(fields.rows());
        present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                return ends.push(0);
            };
            let count = wire.count(8)?;
            for _ in 0..count {
                keys.push(wire.required_part()?);
                values.push(wire.part()?.0);
            }
            wire.end()?;
            ends.push(count)
        })?;
        keys.decode(fields, notes, present, |part| ends.row_in_block(part))?;
        values.decode(fields, notes, present, |part| ends.row_in_block(part))?;
        present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let row_of = |part| self.ends.row_of(part);
        let arrays = vec![self.keys.finish(row_of)?, self.values.finish(row_of)?];
        let entries = StructArray::try_new(self.fields.clone(), arrays, None);
        let entries = entries.map_err(not_an_array)?;
        let (field, offsets) = (FieldRef::clone(&self.entries), self.ends.take());
        MapArray::try_new(field, offsets, entries, self.validity.take(), false)
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}
