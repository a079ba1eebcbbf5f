//! Composites and ranges: parts of several kinds, into structs.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, StructArray};
use arrow_schema::Fields as ArrowFields;

use super::parts::{Part, Present, Wire, fields_of, not_an_array};
use super::validity::{Bits, Validity};
use super::{ColumnDecoder, Fields, GROUP_ROWS, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::range_flags::{
    EMPTY, LOWER_INCLUSIVE, UPPER_INCLUSIVE, has_lower, has_upper, is_canonical,
};
use crate::mapping::{AttributeCodec, Codec};

/// A part of a struct belongs to the value in its own row.
fn same_row(row: usize) -> usize {
    row
}

/// `record_send` in PostgreSQL's `rowtypes.c`: the number of attributes that are not dropped,
/// then of each the type's oid and the value behind its length.
pub(super) struct CompositeDecoder {
    fields: ArrowFields,
    attributes: Vec<(u32, Part)>,
    present: Present,
    validity: Validity,
}

impl CompositeDecoder {
    pub(super) fn new(codec: &Codec, attributes: &[AttributeCodec]) -> Self {
        let attributes = attributes.iter();
        Self {
            fields: fields_of(&codec.arrow_type()),
            attributes: attributes
                .map(|attribute| (attribute.oid, Part::of(&attribute.codec)))
                .collect(),
            present: Present::default(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for CompositeDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            attributes,
            present,
            ..
        } = self;
        present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                for (_, parts) in attributes.iter_mut() {
                    parts.push_absent();
                }
                return Ok(());
            };
            if usize::try_from(wire.int()?) != Ok(attributes.len()) {
                return Err(Fault::BadForm);
            }
            for (oid, parts) in attributes.iter_mut() {
                if u32::from_be_bytes(wire.bytes()?) != *oid {
                    return Err(Fault::OtherOid);
                }
                parts.push(wire.part()?.0);
            }
            wire.end()
        })?;
        for (_, parts) in attributes {
            parts.decode(fields, notes, present, same_row)?;
        }
        present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let parts = self.attributes.iter_mut();
        let arrays = parts
            .map(|(_, parts)| parts.finish(same_row))
            .collect::<Result<Vec<_>, _>>()?;
        StructArray::try_new(self.fields.clone(), arrays, self.validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}

/// `range_send` in PostgreSQL's `rangetypes.c`: flags, then the bounds that there are, each
/// behind its length.
pub(super) struct RangeDecoder {
    fields: ArrowFields,
    lower: Part,
    upper: Part,
    /// The flags of the block's values; 0 in place of NULL.
    flags: Vec<u8>,
    lower_inclusive: Bits,
    upper_inclusive: Bits,
    empty: Bits,
    present: Present,
    validity: Validity,
    /// Whether a range stands where there must be no NULL: one that is refused makes what it is
    /// in NULL, and itself stays as it came out.
    is_required: bool,
}

impl RangeDecoder {
    pub(super) fn new(codec: &Codec, bound: &Codec) -> Self {
        Self {
            is_required: false,
            ..Self::required(fields_of(&codec.arrow_type()), bound)
        }
    }

    /// For the ranges of a multirange.
    pub(super) fn required(fields: ArrowFields, bound: &Codec) -> Self {
        Self {
            fields,
            lower: Part::of(bound),
            upper: Part::of(bound),
            flags: Vec::new(),
            lower_inclusive: Bits::default(),
            upper_inclusive: Bits::default(),
            empty: Bits::default(),
            present: Present::default(),
            validity: Validity::default(),
            is_required: true,
        }
    }

    fn append_flags(&mut self) {
        for flags in self.flags.chunks(GROUP_ROWS) {
            let bits = |flag: u8| {
                let set = flags.iter().rev();
                set.fold(0, |bits, flags| bits << 1 | u64::from(flags & flag != 0))
            };
            self.lower_inclusive
                .append(bits(LOWER_INCLUSIVE), flags.len());
            self.upper_inclusive
                .append(bits(UPPER_INCLUSIVE), flags.len());
            self.empty.append(bits(EMPTY), flags.len());
        }
        self.flags.clear();
    }
}

/// Gathers one bound, if it is on the wire.
#[inline]
fn bound(wire: &mut Wire<'_>, is_there: bool, parts: &mut Part) -> Result<(), Fault> {
    if is_there {
        parts.push(wire.required_part()?);
    } else {
        parts.push_absent();
    }
    Ok(())
}

impl ColumnDecoder for RangeDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            lower,
            upper,
            flags: all_flags,
            present,
            ..
        } = self;
        present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                lower.push_absent();
                upper.push_absent();
                all_flags.push(0);
                return Ok(());
            };
            let [flags] = wire.bytes::<1>()?;
            if !is_canonical(flags) {
                return Err(Fault::NotCanonical);
            }
            bound(&mut wire, has_lower(flags), lower)?;
            bound(&mut wire, has_upper(flags), upper)?;
            all_flags.push(flags);
            wire.end()
        })?;
        lower.decode(fields, notes, present, same_row)?;
        upper.decode(fields, notes, present, same_row)?;
        if self.is_required {
            present.append_all_to(&mut self.validity);
        } else {
            present.append_to(&mut self.validity);
        }
        self.append_flags();
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let flag = |bits: &mut Bits| Arc::new(BooleanArray::new(bits.take(), None)) as ArrayRef;
        let arrays = vec![
            self.lower.finish(same_row)?,
            self.upper.finish(same_row)?,
            flag(&mut self.lower_inclusive),
            flag(&mut self.upper_inclusive),
            flag(&mut self.empty),
        ];
        StructArray::try_new(self.fields.clone(), arrays, self.validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}
