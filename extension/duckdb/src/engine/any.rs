//! Reading arguments of any type: what the engine passes is looked at when the call runs.

use super::{Column, Type, ffi};
use crate::failure::{Failure, Result};
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ops::Range;

/// A vector of values of a type that is known when the call runs.
pub struct AnyColumn<'a> {
    vector: ffi::duckdb_vector,
    kind: Kind,
    rows: usize,
    data: *const c_void,
    validity: *const u64,
    engine: PhantomData<&'a ()>,
}

/// What is read differently.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// `NULL` without a type.
    Null,
    Number(Number),
    List,
    /// With the length of each.
    Array(usize),
    /// With the names of the fields.
    Struct(Vec<String>),
    /// Anything else, by the engine's number of the type.
    Other(u32),
}

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Boolean,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    /// A whole number, and what it is divided by.
    Decimal(Whole, f64),
}

/// How the whole number of a decimal is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Whole {
    I16,
    I32,
    I64,
    I128,
}

impl<'a> Column<'a> {
    /// The values of an argument that may have any type.
    pub fn any(&self) -> Result<AnyColumn<'a>> {
        self.expect(self.kind() == Type::Any);
        // SAFETY: the vector lives as long as the column.
        unsafe { AnyColumn::new(self.vector(), self.rows()) }
    }
}

impl<'a> AnyColumn<'a> {
    /// # Safety
    /// `vector` is a vector with `rows` rows that outlives `'a` unchanged.
    unsafe fn new(vector: ffi::duckdb_vector, rows: usize) -> Result<Self> {
        // SAFETY: the caller vouches for the vector; the handle of the type is destroyed once.
        let kind = unsafe {
            let mut handle = ffi::duckdb_vector_get_column_type(vector);
            let kind = Kind::of(handle);
            ffi::duckdb_destroy_logical_type(&mut handle);
            kind
        };
        // SAFETY: the caller vouches for the vector. A column of the same validity is asked, which knows the engine's pitfalls.
        let (data, validity) = unsafe { Column::parts(vector, matches!(kind, Kind::Number(_) | Kind::List)) }?;
        Ok(Self { vector, kind, rows, data, validity, engine: PhantomData })
    }

    /// Whether the value of `row` is NULL; a row outside the vector counts as NULL.
    pub fn is_null(&self, row: usize) -> bool {
        if row >= self.rows || self.kind == Kind::Null {
            return true;
        }
        // SAFETY: a validity mask, where there is one, has one bit for each row, in words of 64.
        !self.validity.is_null() && unsafe { *self.validity.add(row / 64) } >> (row % 64) & 1 == 0
    }

    /// Whether the values are lists or arrays. `NULL` without a type may be one.
    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Array(_) | Kind::Null)
    }

    /// The names of the fields, where the values are structs.
    pub fn fields(&self) -> Option<&[String]> {
        match &self.kind {
            Kind::Struct(names) => Some(names),
            _ => None,
        }
    }

    /// Where in [`AnyColumn::elements`] the list of `row` lies.
    pub fn range(&self, row: usize) -> Option<Range<usize>> {
        if self.is_null(row) {
            return None;
        }
        match self.kind {
            Kind::Array(length) => Some(row * length..(row + 1) * length),
            Kind::List => {
                // SAFETY: the vector holds one entry for each list, and `row` is one of them and not NULL.
                let entry = unsafe { *self.data.cast::<ffi::duckdb_list_entry>().add(row) };
                Some(entry.offset as usize..entry.offset as usize + entry.length as usize)
            }
            _ => None,
        }
    }

    /// The elements of all lists or arrays, one after the other; `None` where there are none.
    pub fn elements(&self) -> Result<Option<AnyColumn<'a>>> {
        // Where all is NULL there may be no child, and DuckDB 1.2 throws when asked for one.
        if (0..self.rows).all(|row| self.is_null(row)) {
            return Ok(None);
        }
        // SAFETY: the vector holds lists or arrays; its child lives as long as it does.
        unsafe {
            match self.kind {
                Kind::List => {
                    let elements = ffi::duckdb_list_vector_get_size(self.vector) as usize;
                    Self::new(ffi::duckdb_list_vector_get_child(self.vector), elements).map(Some)
                }
                Kind::Array(length) => {
                    Self::new(ffi::duckdb_array_vector_get_child(self.vector), self.rows * length).map(Some)
                }
                _ => Ok(None),
            }
        }
    }

    /// The field of this name, in any case; `None` where there is none.
    pub fn field(&self, name: &str) -> Result<Option<AnyColumn<'a>>> {
        let names = self.fields().unwrap_or_default();
        let Some(index) = names.iter().position(|field| field.eq_ignore_ascii_case(name)) else { return Ok(None) };
        if (0..self.rows).all(|row| self.is_null(row)) {
            return Ok(None);
        }
        // SAFETY: the vector holds structs with this field, which has as many rows and lives as long.
        unsafe { Self::new(ffi::duckdb_struct_vector_get_child(self.vector, index as u64), self.rows).map(Some) }
    }

    /// The number in `row`, of whatever numeric type; `None` for NULL.
    ///
    /// # Errors
    /// The values are no numbers.
    pub fn number(&self, row: usize) -> Result<Option<f64>> {
        let Kind::Number(number) = self.kind else {
            return match self.is_null(row) {
                true => Ok(None),
                false => Err(Failure::new(format!("{} where a number is wanted", self.describe(row)))),
            };
        };
        if self.is_null(row) {
            return Ok(None);
        }
        // SAFETY: the vector holds values stored so, and `row` is one of them and not NULL.
        let value = unsafe {
            match number {
                Number::Boolean | Number::U8 => f64::from(self.at::<u8>(row)),
                Number::I8 => f64::from(self.at::<i8>(row)),
                Number::I16 => f64::from(self.at::<i16>(row)),
                Number::I32 => f64::from(self.at::<i32>(row)),
                Number::I64 => self.at::<i64>(row) as f64,
                Number::I128 => self.huge(row),
                Number::U16 => f64::from(self.at::<u16>(row)),
                Number::U32 => f64::from(self.at::<u32>(row)),
                Number::U64 => self.at::<u64>(row) as f64,
                Number::F32 => f64::from(self.at::<f32>(row)),
                Number::F64 => self.at::<f64>(row),
                Number::Decimal(Whole::I16, scale) => f64::from(self.at::<i16>(row)) / scale,
                Number::Decimal(Whole::I32, scale) => f64::from(self.at::<i32>(row)) / scale,
                Number::Decimal(Whole::I64, scale) => self.at::<i64>(row) as f64 / scale,
                Number::Decimal(Whole::I128, scale) => self.huge(row) / scale,
            }
        };
        Ok(Some(value))
    }

    /// What the value of `row` is, for an error message.
    pub fn describe(&self, row: usize) -> String {
        match &self.kind {
            Kind::Null => "NULL".into(),
            Kind::Number(_) => match self.number(row) {
                Ok(Some(number)) => format!("the number {number}"),
                _ => "NULL".into(),
            },
            Kind::List | Kind::Array(_) => "a list".into(),
            Kind::Struct(names) => format!("a struct with the fields {}", names.join(", ")),
            Kind::Other(ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR) => "a text".into(),
            Kind::Other(ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB) => "a BLOB".into(),
            Kind::Other(_) => "a value of another type".into(),
        }
    }

    /// # Safety
    /// The vector holds values of type `T`, and `row` is one of them.
    unsafe fn at<T: Copy>(&self, row: usize) -> T {
        // SAFETY: the caller vouches for it.
        unsafe { *self.data.cast::<T>().add(row) }
    }

    /// # Safety
    /// The vector holds numbers of 128 bits, and `row` is one of them.
    unsafe fn huge(&self, row: usize) -> f64 {
        // SAFETY: the caller vouches for it.
        let value = unsafe { self.at::<ffi::duckdb_hugeint>(row) };
        value.upper as f64 * 2_f64.powi(64) + value.lower as f64
    }
}

impl Kind {
    /// # Safety
    /// `handle` is a live type.
    unsafe fn of(handle: ffi::duckdb_logical_type) -> Self {
        // SAFETY: the handle is live, and each function is called for the types it is for.
        unsafe {
            match ffi::duckdb_get_type_id(handle) {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL => Self::Null,
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => Self::Number(Number::Boolean),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => Self::Number(Number::I8),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Self::Number(Number::I16),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Self::Number(Number::I32),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Self::Number(Number::I64),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => Self::Number(Number::I128),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => Self::Number(Number::U8),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => Self::Number(Number::U16),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => Self::Number(Number::U32),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => Self::Number(Number::U64),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => Self::Number(Number::F32),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => Self::Number(Number::F64),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
                    let whole = match ffi::duckdb_decimal_internal_type(handle) {
                        ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Whole::I16,
                        ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Whole::I32,
                        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Whole::I64,
                        _ => Whole::I128,
                    };
                    Self::Number(Number::Decimal(whole, 10_f64.powi(ffi::duckdb_decimal_scale(handle).into())))
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST => Self::List,
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => Self::Array(ffi::duckdb_array_type_array_size(handle) as usize),
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => {
                    let count = ffi::duckdb_struct_type_child_count(handle);
                    Self::Struct(
                        (0..count).map(|index| taken(ffi::duckdb_struct_type_child_name(handle, index))).collect(),
                    )
                }
                other => Self::Other(other),
            }
        }
    }
}

/// A text of the engine's that is the caller's to free.
///
/// # Safety
/// `text` is NULL or such a text.
unsafe fn taken(text: *mut c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for the text, which is freed once.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        ffi::duckdb_free(text.cast::<c_void>());
        copy
    }
}
