//! Writing the results of a call.

use super::{Type, ffi, pages};
use sam_runtime::{Failure, Result};
use std::ffi::c_char;
use std::marker::PhantomData;

/// Most elements of one list vector. The engine's limit is 2^37, in elements and in bytes, after rounding up to
/// a power of two; elements have up to 16 bytes.
const MAX_ELEMENTS: usize = 1 << 33;

/// The engine's limit on the bytes of one string.
const MAX_STRING: usize = u32::MAX as usize;

/// One result vector of a known type, to be written once.
pub struct Output<'a> {
    vector: ffi::duckdb_vector,
    kind: Type,
    rows: usize,
    engine: PhantomData<&'a mut ()>,
}

impl<'a> Output<'a> {
    /// # Safety
    /// `vector` is a flat vector of type `kind` with room for `rows` rows that outlives `'a`, and nothing else
    /// reads or writes it meanwhile.
    pub(super) unsafe fn new(vector: ffi::duckdb_vector, kind: Type, rows: usize) -> Self {
        Self { vector, kind, rows, engine: PhantomData }
    }

    /// The type of the values.
    pub fn kind(&self) -> Type {
        self.kind
    }

    /// The same vector for a single write, which uses it up.
    pub fn reborrow(&mut self) -> Output<'_> {
        // SAFETY: `self` stays borrowed while the vector is written.
        unsafe { Output::new(self.vector, self.kind, self.rows) }
    }

    /// Writes NULL to the rows that have no value.
    pub fn set_nulls<T>(&mut self, values: &[Option<T>]) -> Result<()> {
        let missing = values.iter().enumerate().filter(|(_, value)| value.is_none());
        missing.map(|(row, _)| row).try_for_each(|row| self.set_null(row))
    }

    /// Has `put` write the value of each row that has one, and writes NULL to the others.
    pub fn each<T>(
        &mut self,
        values: impl IntoIterator<Item = Option<T>>,
        put: impl Fn(&mut Self, usize, T) -> Result<()>,
    ) -> Result<()> {
        values.into_iter().enumerate().try_for_each(|(row, value)| match value {
            Some(value) => put(self, row, value),
            None => self.set_null(row),
        })
    }

    /// Writes NULL to `row`, and to `row` of all fields of a struct.
    pub fn set_null(&mut self, row: usize) -> Result<()> {
        self.check(row)?;
        // SAFETY: `row` is inside the vector, and the mask exists once it was made writable.
        unsafe {
            ffi::duckdb_vector_ensure_validity_writable(self.vector);
            ffi::duckdb_validity_set_row_invalid(ffi::duckdb_vector_get_validity(self.vector), row as u64);
        }
        match self.kind {
            Type::Struct(fields) => {
                for index in 0..fields.len() {
                    self.field(index)?.set_null(row)?;
                }
            }
            // The engine may look at the extent of a list without asking whether it is NULL.
            Type::List(_) => self.entries()[row] = ffi::duckdb_list_entry { offset: 0, length: 0 },
            _ => {}
        }
        Ok(())
    }

    /// The field at `index` of a `STRUCT` result.
    pub fn field(&mut self, index: usize) -> Result<Output<'_>> {
        let Type::Struct(fields) = self.kind else {
            return Err(Failure::internal("this result holds no structs"));
        };
        let (_, kind) = fields.get(index).ok_or_else(|| Failure::internal(format!("there is no field {index}")))?;
        // SAFETY: `index` is one of the struct's fields; `self` stays borrowed while the field is written.
        Ok(unsafe { Output::new(ffi::duckdb_struct_vector_get_child(self.vector, index as u64), *kind, self.rows) })
    }

    /// Lays out the lists of a `LIST` result, `lengths` elements each, and returns the vector of all elements
    /// in order, to be filled. NULL rows have length 0.
    ///
    /// This reserves exactly once, with the final total: growing copies, and doubles the memory.
    pub fn lists(&mut self, lengths: &[usize]) -> Result<Output<'_>> {
        let Type::List(kind) = self.kind else {
            return Err(Failure::internal("this result holds no lists"));
        };
        if lengths.len() != self.rows {
            return Err(Failure::internal(format!("{} lengths for {} rows", lengths.len(), self.rows)));
        }
        let mut total = 0_usize;
        for (entry, &length) in self.entries().iter_mut().zip(lengths) {
            *entry = ffi::duckdb_list_entry { offset: total as u64, length: length as u64 };
            total = total.saturating_add(length);
            if total > MAX_ELEMENTS {
                return Err(Failure::input(
                    "the lists of these rows exceed what one vector holds; use fewer rows at a time",
                ));
            }
        }
        // SAFETY: the total is within the engine's limits, so that neither call throws; the child is fetched
        // after the reservation, which may move it.
        unsafe {
            if ffi::duckdb_list_vector_reserve(self.vector, total as u64) != ffi::DuckDBSuccess
                || ffi::duckdb_list_vector_set_size(self.vector, total as u64) != ffi::DuckDBSuccess
            {
                return Err(Failure::internal(format!("the engine refused a list vector of {total} elements")));
            }
            Ok(Output::new(ffi::duckdb_list_vector_get_child(self.vector), *kind, total))
        }
    }

    /// Writes the bytes of a `BLOB` or the text of a `VARCHAR`.
    pub fn set_bytes(&mut self, row: usize, bytes: &[u8]) -> Result<()> {
        self.expect(matches!(self.kind, Type::Blob | Type::Varchar));
        self.check(row)?;
        if bytes.len() > MAX_STRING {
            return Err(Failure::input(format!("a value of {} bytes exceeds the 4 GiB of a string", bytes.len())));
        }
        // SAFETY: `row` is inside the vector; the engine copies `bytes`.
        unsafe {
            let start = bytes.as_ptr().cast::<c_char>();
            ffi::duckdb_vector_assign_string_element_len(self.vector, row as u64, start, bytes.len() as u64);
        }
        Ok(())
    }

    /// The values of a `FLOAT` result.
    pub fn floats(self) -> &'a mut [f32] {
        self.expect(self.kind == Type::Float);
        // SAFETY: the vector holds `f32`.
        let values = unsafe { self.values() };
        pages::enlarge(values);
        values
    }

    /// The values of a `DOUBLE` result.
    pub fn doubles(self) -> &'a mut [f64] {
        self.expect(self.kind == Type::Double);
        // SAFETY: the vector holds `f64`.
        unsafe { self.values() }
    }

    /// The values of an `INTEGER` result.
    pub fn integers(self) -> &'a mut [i32] {
        self.expect(self.kind == Type::Integer);
        // SAFETY: the vector holds `i32`.
        unsafe { self.values() }
    }

    /// The values of a `BIGINT` result.
    pub fn bigints(self) -> &'a mut [i64] {
        self.expect(self.kind == Type::Bigint);
        // SAFETY: the vector holds `i64`.
        unsafe { self.values() }
    }

    /// The values of a `TIMESTAMP` result, in microseconds since 1970.
    pub fn timestamps(self) -> &'a mut [i64] {
        self.expect(self.kind == Type::Timestamp);
        // SAFETY: the vector holds `i64`.
        unsafe { self.values() }
    }

    /// The values of a `UBIGINT` result.
    pub fn ubigints(self) -> &'a mut [u64] {
        self.expect(self.kind == Type::Ubigint);
        // SAFETY: the vector holds `u64`.
        unsafe { self.values() }
    }

    /// The values of a `BOOLEAN` result, one byte each: 0 or 1.
    pub fn booleans(self) -> &'a mut [u8] {
        self.expect(self.kind == Type::Boolean);
        // SAFETY: the vector holds one byte for each boolean.
        unsafe { self.values() }
    }

    fn entries(&mut self) -> &mut [ffi::duckdb_list_entry] {
        // SAFETY: called for lists only.
        unsafe { self.reborrow().values() }
    }

    /// # Safety
    /// The vector holds values of type `T`, for which all bit patterns are valid.
    unsafe fn values<T>(self) -> &'a mut [T] {
        if self.rows == 0 {
            return &mut [];
        }
        // SAFETY: the vector has room for `rows` values, allocated by the engine and written by us alone.
        unsafe { std::slice::from_raw_parts_mut(ffi::duckdb_vector_get_data(self.vector).cast::<T>(), self.rows) }
    }

    fn check(&self, row: usize) -> Result<()> {
        let inside = row < self.rows;
        inside.then_some(()).ok_or_else(|| Failure::internal(format!("row {row} of {} rows was written", self.rows)))
    }

    /// Stops a write as a wrong type: a defect, which [`super::guard`] reports.
    fn expect(&self, right: bool) {
        assert!(right, "a result of type {:?} was written as another type", self.kind);
    }
}
