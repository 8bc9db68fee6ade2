//! Reading the arguments of a call.

use super::types::Container;
use super::{Caller, Type, ffi, version};
use sam_runtime::{Failure, Result};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::Range;

/// The arguments of one call: columns of equal length.
pub struct Input<'a> {
    caller: Caller<'a>,
    columns: Vec<Column<'a>>,
    rows: usize,
}

/// One vector of values of a known type.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    vector: ffi::duckdb_vector,
    kind: Type,
    rows: usize,
    data: *const c_void,
    validity: *const u64,
    engine: PhantomData<&'a ()>,
}

impl<'a> Input<'a> {
    /// The columns of `chunk`, whose types are `kinds`, held so, for a call by `caller`.
    ///
    /// # Safety
    /// `chunk` is a flat chunk with these types that outlives `'a` unchanged.
    pub(super) unsafe fn new(
        caller: Caller<'a>,
        chunk: ffi::duckdb_data_chunk,
        kinds: &[(Type, Container)],
    ) -> Result<Self> {
        // SAFETY: the caller vouches for the chunk.
        let rows = unsafe { ffi::duckdb_data_chunk_get_size(chunk) } as usize;
        let column = |(index, (kind, container)): (usize, &(Type, Container))| {
            // SAFETY: the function was registered with `kinds`, so the chunk has a column for each of them. A union is a
            // struct of the members' number and the members, each as long as the union and NULL where that is.
            unsafe {
                let mut vector = ffi::duckdb_data_chunk_get_vector(chunk, index as u64);
                if *container == Container::Union {
                    vector = ffi::duckdb_struct_vector_get_child(vector, 1);
                }
                Column::new(vector, *kind, rows)
            }
        };
        Ok(Self { caller, columns: kinds.iter().enumerate().map(column).collect::<Result<_>>()?, rows })
    }

    /// Who calls which function.
    pub fn caller(&self) -> Caller<'a> {
        self.caller
    }

    /// How many rows the call is about.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many arguments the call has.
    pub fn arguments(&self) -> usize {
        self.columns.len()
    }

    /// The argument at `index`.
    pub fn column(&self, index: usize) -> Result<Column<'a>> {
        self.columns.get(index).copied().ok_or_else(|| Failure::internal(format!("there is no argument {index}")))
    }
}

impl<'a> Column<'a> {
    /// # Safety
    /// `vector` is a vector of type `kind` with `rows` rows that outlives `'a` unchanged, flat but for what
    /// the engine leaves: see [`form`].
    unsafe fn new(vector: ffi::duckdb_vector, kind: Type, rows: usize) -> Result<Self> {
        // SAFETY: the caller vouches for the vector. What an argument of any type has is looked up later.
        unsafe { Self::of(vector, kind, rows, !matches!(kind, Type::Struct(_) | Type::Any)) }
    }

    /// The same with whether the vector has data of its own, which structs and arrays have not.
    ///
    /// # Safety
    /// As [`Column::new`].
    pub(super) unsafe fn of(vector: ffi::duckdb_vector, kind: Type, rows: usize, data: bool) -> Result<Self> {
        // SAFETY: the caller vouches for the vector.
        let form = unsafe { form(vector) };
        if form != Form::Flat && version::of_engine().leaves_constants() {
            return Err(Failure::input(
                "DuckDB 1.2 cannot pass constants or casts of arrays inside a list or a struct; \
                 store the value in a table first, or use DuckDB 1.3 or newer",
            ));
        }
        // SAFETY: the caller vouches for the vector, and that it has data where it says so.
        let (data, validity) = unsafe {
            let data = if data { ffi::duckdb_vector_get_data(vector) } else { std::ptr::null_mut() };
            (data.cast_const(), ffi::duckdb_vector_get_validity(vector).cast_const())
        };
        let column = Self { vector, kind, rows, data, validity, engine: PhantomData };
        match form {
            Form::Flat => Ok(column),
            Form::Constant if rows <= 1 => Ok(column),
            // As a cast of `[NULL, NULL]` leaves it.
            Form::Constant if column.is_null(0) => Ok(Self { rows: 0, ..column }),
            _ => Err(Failure::input(
                "DuckDB passes a list or a struct here in a form that cannot be read; store the value in a table first",
            )),
        }
    }

    /// A column without rows.
    pub fn none(kind: Type) -> Self {
        let (vector, data, validity) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
        Self { vector, kind, rows: 0, data, validity, engine: PhantomData }
    }

    /// Whether all rows are NULL. Then the vector may have no children at all, and DuckDB 1.2 throws when asked
    /// for them.
    pub(super) fn is_empty(&self) -> bool {
        (0..self.rows).all(|row| self.is_null(row))
    }

    /// The vector.
    pub(super) fn vector(&self) -> ffi::duckdb_vector {
        self.vector
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The type of the values.
    pub fn kind(&self) -> Type {
        self.kind
    }

    /// Whether the value of `row` is NULL; a row outside the vector counts as NULL.
    pub fn is_null(&self, row: usize) -> bool {
        if row >= self.rows {
            return true;
        }
        if self.validity.is_null() {
            return false;
        }
        // SAFETY: a validity mask has one bit for each row, in words of 64.
        let word = unsafe { *self.validity.add(row / 64) };
        word >> (row % 64) & 1 == 0
    }

    /// The bytes of a `BLOB` or `VARCHAR`.
    pub fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        self.expect(matches!(self.kind, Type::Blob | Type::Varchar));
        if self.is_null(row) {
            return None;
        }
        // SAFETY: the vector holds `duckdb_string_t`, `row` is inside it and not NULL. Up to twelve bytes are
        // stored in the vector itself, longer ones behind a pointer; both live as long as the vector.
        unsafe {
            let string = &*self.data.cast::<ffi::duckdb_string_t>().add(row);
            let length = string.value.inlined.length as usize;
            let start = if length <= 12 {
                (&raw const string.value.inlined.inlined).cast::<u8>()
            } else {
                string.value.pointer.ptr.cast_const().cast::<u8>()
            };
            Some(std::slice::from_raw_parts(start, length))
        }
    }

    /// The text of a `VARCHAR`.
    pub fn text(&self, row: usize) -> Result<Option<&'a str>> {
        self.expect(self.kind == Type::Varchar);
        let text = self.bytes(row).map(std::str::from_utf8).transpose();
        text.map_err(|error| Failure::internal(format!("the engine passed a VARCHAR that is not UTF-8: {error}")))
    }

    /// The value of a `DOUBLE`.
    pub fn double(&self, row: usize) -> Option<f64> {
        self.expect(self.kind == Type::Double);
        // SAFETY: the vector holds `f64`.
        unsafe { self.value(row) }
    }

    /// The value of a `BIGINT`.
    pub fn bigint(&self, row: usize) -> Option<i64> {
        self.expect(self.kind == Type::Bigint);
        // SAFETY: the vector holds `i64`.
        unsafe { self.value(row) }
    }

    /// The values of `rows` of a `FLOAT` column; `None` if one of them is NULL.
    pub fn floats(&self, rows: Range<usize>) -> Option<&'a [f32]> {
        self.expect(self.kind == Type::Float);
        // SAFETY: the vector holds `f32`.
        unsafe { self.values(rows) }
    }

    /// The values of `rows` of a `DOUBLE` column; `None` if one of them is NULL.
    pub fn doubles(&self, rows: Range<usize>) -> Option<&'a [f64]> {
        self.expect(self.kind == Type::Double);
        // SAFETY: the vector holds `f64`.
        unsafe { self.values(rows) }
    }

    /// The values of `rows` of a `UTINYINT` or `BOOLEAN` column (false is 0); `None` if one of them is NULL.
    pub fn small(&self, rows: Range<usize>) -> Option<&'a [u8]> {
        self.expect(matches!(self.kind, Type::Utinyint | Type::Boolean));
        // SAFETY: the vector holds one byte for each value.
        unsafe { self.values(rows) }
    }

    /// The elements of all the lists of a `LIST` column, or the entries of a `MAP` column, one after the other.
    pub fn elements(&self) -> Result<Column<'a>> {
        let kind = match self.kind {
            Type::List(kind) => *kind,
            // The engine keeps a map as a list of structs.
            Type::Map(entry) => Type::Struct(entry),
            _ => return Err(Failure::internal("this column holds no lists")),
        };
        if self.is_empty() {
            return Ok(Column::none(kind));
        }
        // SAFETY: the vector holds lists of `kind`; its child lives as long as it does.
        unsafe {
            let elements = ffi::duckdb_list_vector_get_size(self.vector) as usize;
            Column::new(ffi::duckdb_list_vector_get_child(self.vector), kind, elements)
        }
    }

    /// Where in [`Column::elements`] the list of `row` lies.
    pub fn range(&self, row: usize) -> Option<Range<usize>> {
        self.expect(matches!(self.kind, Type::List(_) | Type::Map(_)));
        // SAFETY: the vector holds one `duckdb_list_entry` for each list.
        unsafe { self.entry(row) }
    }

    /// The elements of the list of `row`.
    ///
    /// # Safety
    /// The vector holds lists.
    pub(super) unsafe fn entry(&self, row: usize) -> Option<Range<usize>> {
        // SAFETY: the caller vouches for it.
        let (entry, elements) =
            unsafe { (self.value::<ffi::duckdb_list_entry>(row)?, ffi::duckdb_list_vector_get_size(self.vector)) };
        let end = entry.offset.checked_add(entry.length).filter(|end| *end <= elements);
        // A defect of the engine or of ours, which must not be followed.
        assert!(end.is_some(), "a list has {} elements from {} on, of {elements}", entry.length, entry.offset);
        Some(entry.offset as usize..end? as usize)
    }

    /// The field at `index` of a `STRUCT` column. Where the struct is NULL the field is undefined: check
    /// [`Column::is_null`] of the struct first.
    pub fn field(&self, index: usize) -> Result<Column<'a>> {
        let Type::Struct(fields) = self.kind else {
            return Err(Failure::internal("this column holds no structs"));
        };
        let (_, kind) = fields.get(index).ok_or_else(|| Failure::internal(format!("there is no field {index}")))?;
        if self.is_empty() {
            return Ok(Column::none(*kind));
        }
        // SAFETY: `index` is one of the struct's fields; the child has as many rows and lives as long.
        unsafe { Column::new(ffi::duckdb_struct_vector_get_child(self.vector, index as u64), *kind, self.rows) }
    }

    /// # Safety
    /// The vector holds values of type `T`.
    pub(super) unsafe fn value<T: Copy>(&self, row: usize) -> Option<T> {
        // SAFETY: `row` is inside the vector (or it would count as NULL) and its value is defined.
        (!self.is_null(row)).then(|| unsafe { *self.data.cast::<T>().add(row) })
    }

    /// # Safety
    /// The vector holds values of type `T`, for which all bit patterns are valid.
    pub(super) unsafe fn values<T>(&self, rows: Range<usize>) -> Option<&'a [T]> {
        if rows.is_empty() {
            return Some(&[]);
        }
        let present = rows.end <= self.rows && (self.validity.is_null() || !rows.clone().any(|row| self.is_null(row)));
        // SAFETY: all the rows are inside the vector.
        present.then(|| unsafe { std::slice::from_raw_parts(self.data.cast::<T>().add(rows.start), rows.len()) })
    }

    /// Stops a read as a wrong type: a defect, which [`super::guard`] reports.
    pub(super) fn expect(&self, right: bool) {
        assert!(right, "a column of type {:?} was read as another type", self.kind);
    }
}

/// How the engine keeps the values of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One value for each row.
    Flat,
    /// One for all.
    Constant,
    /// Another way, in which none is passed as far as is known.
    Other,
}

/// The form of a vector. The engine flattens the arguments, but not all that is inside them. Every DuckDB 1 leaves the
/// elements of `[NULL, NULL]::STRUCT(...)[]` as one NULL for all of them, with nothing behind it in the second place.
/// 1.2 leaves a field such as `'a'` in `{'bytes': image, 'path': 'a'}` a constant too. It throws a C++ exception when
/// its validity is asked for, so we look before we ask. The C API has no function for it, but the vectors of
/// DuckDB 1 begin with a byte for their form, in all its releases: `test/sql/nulls.test` in each of them would tell.
/// Those of DuckDB 2 begin otherwise, and are flat.
///
/// # Safety
/// `vector` is a live vector.
unsafe fn form(vector: ffi::duckdb_vector) -> Form {
    if !version::of_engine().tells_form() {
        return Form::Flat;
    }
    // SAFETY: in DuckDB 1 `vector` points to an object that begins with this byte.
    match unsafe { *vector.cast::<u8>() } {
        0 => Form::Flat,
        2 => Form::Constant,
        _ => Form::Other,
    }
}
