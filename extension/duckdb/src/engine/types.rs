//! SQL types, described as constants and created on demand.

use super::ffi;
use std::ffi::{CStr, c_void};
use std::fmt;

/// An SQL type. The descriptions are constants: a function's signature is data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// `BOOLEAN`
    Boolean,
    /// `UTINYINT`
    Utinyint,
    /// `INTEGER`
    Integer,
    /// `BIGINT`
    Bigint,
    /// `UBIGINT`
    Ubigint,
    /// `FLOAT`
    Float,
    /// `DOUBLE`
    Double,
    /// `TIMESTAMP`
    Timestamp,
    /// `VARCHAR`
    Varchar,
    /// `BLOB`
    Blob,
    /// `T[]`
    List(&'static Type),
    /// `MAP(K, V)`; the fields of an entry are called `key` and `value`
    Map(&'static [(&'static CStr, Type); 2]),
    /// `STRUCT(name T, ...)`
    Struct(&'static [(&'static CStr, Type)]),
    /// Any type, as an argument: [`super::Any`] tells which.
    Any,
}

/// The engine's handle of a type; freed on drop.
pub(super) struct LogicalType(ffi::duckdb_logical_type);

impl Type {
    /// Creates the engine's handle of this type.
    pub(super) fn create(&self) -> LogicalType {
        let id = match self {
            Type::Boolean => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
            Type::Utinyint => ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT,
            Type::Integer => ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER,
            Type::Bigint => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
            Type::Ubigint => ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT,
            Type::Float => ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT,
            Type::Double => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
            Type::Timestamp => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
            Type::Varchar => ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
            Type::Blob => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB,
            Type::Any => ffi::DUCKDB_TYPE_DUCKDB_TYPE_ANY,
            Type::List(child) => {
                let child = child.create();
                // SAFETY: `child` is a live handle; the engine copies what it needs.
                return LogicalType(unsafe { ffi::duckdb_create_list_type(child.raw()) });
            }
            Type::Map([(_, key), (_, value)]) => {
                let (key, value) = (key.create(), value.create());
                // SAFETY: both are live handles; the engine copies what it needs.
                return LogicalType(unsafe { ffi::duckdb_create_map_type(key.raw(), value.raw()) });
            }
            Type::Struct(fields) => {
                let types: Vec<LogicalType> = fields.iter().map(|(_, field)| field.create()).collect();
                let mut handles: Vec<_> = types.iter().map(LogicalType::raw).collect();
                let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_ptr()).collect();
                // SAFETY: both arrays have `fields.len()` entries and live until the call returns, which copies.
                return LogicalType(unsafe {
                    ffi::duckdb_create_struct_type(handles.as_mut_ptr(), names.as_mut_ptr(), fields.len() as u64)
                });
            }
        };
        // SAFETY: `id` is one of the engine's primitive types.
        LogicalType(unsafe { ffi::duckdb_create_logical_type(id) })
    }
}

impl Type {
    /// Creates the engine's handle of a union whose only member is of this type. Its name is one that no other union has,
    /// for there is a cast of ours to it: see [`super::cast`].
    pub(super) fn create_union(&self) -> LogicalType {
        let member = self.create();
        let (mut handle, mut name) = (member.raw(), c"sam_value".as_ptr());
        // SAFETY: type and name live until the call returns, which copies.
        LogicalType(unsafe { ffi::duckdb_create_union_type(&mut handle, &mut name, 1) })
    }
}

/// The type as it is written in SQL.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Boolean => f.write_str("BOOLEAN"),
            Type::Utinyint => f.write_str("UTINYINT"),
            Type::Integer => f.write_str("INTEGER"),
            Type::Bigint => f.write_str("BIGINT"),
            Type::Ubigint => f.write_str("UBIGINT"),
            Type::Float => f.write_str("FLOAT"),
            Type::Double => f.write_str("DOUBLE"),
            Type::Timestamp => f.write_str("TIMESTAMP"),
            Type::Varchar => f.write_str("VARCHAR"),
            Type::Blob => f.write_str("BLOB"),
            Type::Any => f.write_str("ANY"),
            Type::List(child) => write!(f, "{child}[]"),
            Type::Map([(_, key), (_, value)]) => write!(f, "MAP({key}, {value})"),
            Type::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (index, (name, kind)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {kind}", name.to_string_lossy())?;
                }
                f.write_str(")")
            }
        }
    }
}

impl LogicalType {
    /// `JSON`: to the engine a `VARCHAR` of this name, whether or not its `json` extension is there.
    pub(super) fn json() -> Self {
        let kind = Type::Varchar.create();
        // SAFETY: the type is live; the engine copies the name.
        unsafe { ffi::duckdb_logical_type_set_alias(kind.raw(), c"JSON".as_ptr()) };
        kind
    }

    /// The type of a vector.
    ///
    /// # Safety
    /// `vector` is a live vector.
    pub(super) unsafe fn of_vector(vector: ffi::duckdb_vector) -> Self {
        // SAFETY: the caller vouches for the vector; the engine makes a handle that is ours.
        LogicalType(unsafe { ffi::duckdb_vector_get_column_type(vector) })
    }

    /// The handle, valid as long as `self` lives.
    pub(super) fn raw(&self) -> ffi::duckdb_logical_type {
        self.0
    }
}

impl Drop for LogicalType {
    fn drop(&mut self) {
        // SAFETY: `self.0` was created by the engine and is destroyed once.
        unsafe { ffi::duckdb_destroy_logical_type(&mut self.0) }
    }
}

/// How the engine holds an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// As a vector of its type.
    Plain,
    /// As the only member of a union.
    Union,
}

/// The text of a value of type `VARCHAR`; `None` for NULL.
///
/// # Safety
/// `value` is a live value.
pub(super) unsafe fn text(value: ffi::duckdb_value) -> Option<String> {
    // SAFETY: the caller vouches for the value; its text is the caller's to free.
    unsafe {
        (!ffi::duckdb_is_null_value(value)).then(|| {
            let start = ffi::duckdb_get_varchar(value);
            let text = CStr::from_ptr(start).to_string_lossy().into_owned();
            ffi::duckdb_free(start.cast::<c_void>());
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_written_as_in_sql() {
        const MASK: Type = Type::Struct(&[(c"size", Type::List(&Type::Integer)), (c"counts", Type::Varchar)]);
        assert_eq!(Type::List(&MASK).to_string(), "STRUCT(size INTEGER[], counts VARCHAR)[]");
    }
}
