//! Arguments of any type. What they are is looked up in each call. So structs may have their fields in any order, and
//! more of them, and numbers may be of any type. The engine's own casts between structs differ from release to release,
//! and go by position in some.

use super::types::LogicalType;
use super::{Column, Type, ffi};
use sam_runtime::{Failure, Result};
use std::borrow::Cow;
use std::ffi::CStr;
use std::ops::Range;

/// A column of a type that only the call knows.
pub struct Any<'a> {
    column: Column<'a>,
    kind: Kind<'a>,
}

/// What the values of a column are.
pub enum Kind<'a> {
    /// Nothing: all are NULL.
    Null,
    /// Numbers of any type.
    Number(Number),
    /// `VARCHAR`, `JSON`
    Text,
    /// `BLOB`
    Bytes,
    /// Lists; here are the elements of all, one after the other.
    List(Box<Any<'a>>),
    /// Lists of so many elements each.
    Array(usize, Box<Any<'a>>),
    /// Structs: names and fields.
    Struct(Vec<(String, Any<'a>)>),
    /// A type that is nothing to us, with what it is called.
    Other(&'static str),
}

/// Numbers as the engine keeps them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// 0 and 1
    Boolean,
    Tinyint,
    Smallint,
    Integer,
    Bigint,
    Hugeint,
    Utinyint,
    Usmallint,
    Uinteger,
    Ubigint,
    Float,
    Double,
    /// The integers of a `DECIMAL`, and the power of ten that divides them.
    Decimal(Integer, u8),
}

/// The integer of a `DECIMAL`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Integer {
    Two,
    Four,
    Eight,
    Sixteen,
}

impl<'a> Any<'a> {
    /// The values of an argument that was registered as [`Type::Any`], or told apart from it as `VARCHAR`.
    pub fn new(column: Column<'a>) -> Result<Self> {
        match column.kind() {
            // SAFETY: the vector of a column lives as long as it, and has so many rows.
            Type::Any | Type::Varchar => unsafe { Self::of(column.vector(), column.rows()) },
            _ => Err(Failure::internal("this argument has a type")),
        }
    }

    /// # Safety
    /// As [`Column::of`].
    unsafe fn of(vector: ffi::duckdb_vector, rows: usize) -> Result<Self> {
        // SAFETY: the caller vouches for the vector.
        let logical = unsafe { LogicalType::of_vector(vector) };
        // SAFETY: the type is live.
        let id = unsafe { ffi::duckdb_get_type_id(logical.raw()) };
        let (kind, data) = match id {
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR | ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => (Type::Blob, true),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST => (Type::Any, true),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT | ffi::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => (Type::Any, false),
            _ => (Type::Any, number(id, &logical).is_some()),
        };
        // SAFETY: the caller vouches for the vector, whose type has data of its own where it says so.
        let column = unsafe { Column::of(vector, kind, rows, data) }?;
        // Where all rows are NULL the children may be missing, see `Column::is_empty`.
        if column.is_empty() {
            return Ok(Self { column, kind: Kind::Null });
        }
        // SAFETY: as above; the children live as long as their parents, and have the sizes that are given.
        let kind = unsafe {
            match id {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => Kind::Text,
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => Kind::Bytes,
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST => {
                    let elements = ffi::duckdb_list_vector_get_size(vector) as usize;
                    Kind::List(Box::new(Self::of(ffi::duckdb_list_vector_get_child(vector), elements)?))
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
                    let size = ffi::duckdb_array_type_array_size(logical.raw()) as usize;
                    Kind::Array(
                        size,
                        Box::new(Self::of(ffi::duckdb_array_vector_get_child(vector), rows.saturating_mul(size))?),
                    )
                }
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => {
                    let count = ffi::duckdb_struct_type_child_count(logical.raw());
                    let field = |index| {
                        let child = ffi::duckdb_struct_vector_get_child(vector, index);
                        Ok((field_name(&logical, index), Self::of(child, rows)?))
                    };
                    Kind::Struct((0..count).map(field).collect::<Result<_>>()?)
                }
                _ => number(id, &logical).map_or(Kind::Other(name(id)), Kind::Number),
            }
        };
        Ok(Self { column, kind })
    }

    /// What the values are.
    pub fn kind(&self) -> &Kind<'a> {
        &self.kind
    }

    /// Whether the value of `row` is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.column.is_null(row)
    }

    /// The bytes of a text or a `BLOB`.
    pub fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        match self.kind {
            Kind::Text | Kind::Bytes => self.column.bytes(row),
            _ => None,
        }
    }

    /// The elements of all lists.
    pub fn elements(&self) -> Option<&Any<'a>> {
        match &self.kind {
            Kind::List(elements) | Kind::Array(_, elements) => Some(elements),
            _ => None,
        }
    }

    /// Which of [`Any::elements`] the list of `row` has.
    pub fn range(&self, row: usize) -> Option<Range<usize>> {
        match self.kind {
            // SAFETY: the vector holds lists.
            Kind::List(_) => unsafe { self.column.entry(row) },
            Kind::Array(size, _) => (!self.is_null(row)).then(|| row * size..(row + 1) * size),
            _ => None,
        }
    }

    /// The field of this name, in lower case: names have no case in SQL.
    pub fn field(&self, name: &str) -> Option<&Any<'a>> {
        match &self.kind {
            Kind::Struct(fields) => {
                fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, any)| any)
            }
            _ => None,
        }
    }

    /// The field at `index` of a struct without names, which `ROW` makes.
    pub fn unnamed(&self, index: usize) -> Option<&Any<'a>> {
        match &self.kind {
            Kind::Struct(fields) => fields.get(index).filter(|(name, _)| name.is_empty()).map(|(_, any)| any),
            _ => None,
        }
    }

    /// The number in `row`, rounded to double precision as a cast to `DOUBLE` does.
    pub fn number(&self, row: usize) -> Option<f64> {
        let Kind::Number(number) = self.kind else { return None };
        // SAFETY: the vector holds such numbers.
        unsafe {
            match number {
                Number::Boolean => self.column.value::<u8>(row).map(f64::from),
                Number::Tinyint => self.column.value::<i8>(row).map(f64::from),
                Number::Smallint => self.column.value::<i16>(row).map(f64::from),
                Number::Integer => self.column.value::<i32>(row).map(f64::from),
                Number::Bigint => self.column.value::<i64>(row).map(|value| value as f64),
                Number::Hugeint => self.huge(row).map(|value| value as f64),
                Number::Utinyint => self.column.value::<u8>(row).map(f64::from),
                Number::Usmallint => self.column.value::<u16>(row).map(f64::from),
                Number::Uinteger => self.column.value::<u32>(row).map(f64::from),
                Number::Ubigint => self.column.value::<u64>(row).map(|value| value as f64),
                Number::Float => self.column.value::<f32>(row).map(f64::from),
                Number::Double => self.column.value::<f64>(row),
                Number::Decimal(_, scale) => self.whole(row).map(|value| value as f64 / 10f64.powi(i32::from(scale))),
            }
        }
    }

    /// The integer in `row`: of a `DECIMAL` the one that is divided, of other numbers with a fraction none.
    fn whole(&self, row: usize) -> Option<i128> {
        let Kind::Number(number) = self.kind else { return None };
        // SAFETY: the vector holds such numbers.
        unsafe {
            match number {
                Number::Tinyint => self.column.value::<i8>(row).map(i128::from),
                Number::Smallint | Number::Decimal(Integer::Two, _) => self.column.value::<i16>(row).map(i128::from),
                Number::Integer | Number::Decimal(Integer::Four, _) => self.column.value::<i32>(row).map(i128::from),
                Number::Bigint | Number::Decimal(Integer::Eight, _) => self.column.value::<i64>(row).map(i128::from),
                Number::Hugeint | Number::Decimal(Integer::Sixteen, _) => self.huge(row),
                Number::Boolean | Number::Utinyint => self.column.value::<u8>(row).map(i128::from),
                Number::Usmallint => self.column.value::<u16>(row).map(i128::from),
                Number::Uinteger => self.column.value::<u32>(row).map(i128::from),
                Number::Ubigint => self.column.value::<u64>(row).map(i128::from),
                Number::Float | Number::Double => {
                    self.number(row).filter(|value| value.fract() == 0.0).map(|value| value as i128)
                }
            }
        }
    }

    /// The integer in `row`; of a number with a fraction, or beyond 64 bits, none.
    pub fn integer(&self, row: usize) -> Option<i64> {
        match self.kind {
            Kind::Number(Number::Decimal(..)) => {
                self.number(row).filter(|value| value.fract() == 0.0).map(|value| value as i64)
            }
            _ => self.whole(row).and_then(|value| i64::try_from(value).ok()),
        }
    }

    /// The numbers of `rows`; `None` if one of them is NULL, or they are no numbers.
    pub fn numbers(&self, rows: Range<usize>) -> Option<Cow<'a, [f64]>> {
        if rows.is_empty() {
            return Some(Cow::Borrowed(&[]));
        }
        match self.kind {
            // SAFETY: the vector holds `f64`.
            Kind::Number(Number::Double) => unsafe { self.column.values(rows) }.map(Cow::Borrowed),
            _ => rows.map(|row| self.number(row)).collect::<Option<Vec<_>>>().map(Cow::Owned),
        }
    }

    /// Looks at the integers of `rows`, from the first on; `None` is a NULL or no integer.
    pub fn integers(&self, rows: Range<usize>) -> impl Iterator<Item = Option<i64>> {
        // The usual types at once, the others one by one.
        // SAFETY: the vector holds such numbers.
        let (small, large) = unsafe {
            match self.kind {
                Kind::Number(Number::Integer) => (self.column.values::<i32>(rows.clone()), None),
                Kind::Number(Number::Bigint) => (None, self.column.values::<i64>(rows.clone())),
                _ => (None, None),
            }
        };
        let rest = if small.is_some() || large.is_some() { 0..0 } else { rows };
        let small = small.unwrap_or_default().iter().map(|&value| Some(i64::from(value)));
        let large = large.unwrap_or_default().iter().map(|&value| Some(value));
        small.chain(large).chain(rest.map(|row| self.integer(row)))
    }

    /// # Safety
    /// The vector holds integers of 128 bits.
    unsafe fn huge(&self, row: usize) -> Option<i128> {
        // SAFETY: the caller vouches for it.
        let value = unsafe { self.column.value::<ffi::duckdb_hugeint>(row) }?;
        Some(i128::from(value.upper) << 64 | i128::from(value.lower))
    }

    /// The type as it is written in SQL, as far as it matters here.
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Null => "NULL".into(),
            Kind::Number(Number::Decimal(..)) => "DECIMAL".into(),
            Kind::Number(number) => format!("{number:?}").to_uppercase(),
            Kind::Text => "VARCHAR".into(),
            Kind::Bytes => "BLOB".into(),
            Kind::List(elements) => format!("{}[]", elements.name()),
            Kind::Array(size, elements) => format!("{}[{size}]", elements.name()),
            Kind::Struct(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, field)| format!("{name} {}", field.name())).collect();
                format!("STRUCT({})", fields.join(", "))
            }
            Kind::Other(name) => (*name).into(),
        }
    }
}

/// The name of a field.
///
/// # Safety
/// `logical` is a struct with more than `index` fields.
unsafe fn field_name(logical: &LogicalType, index: u64) -> String {
    // SAFETY: the engine makes a text, or NULL, that is freed once.
    unsafe {
        let text = ffi::duckdb_struct_type_child_name(logical.raw(), index);
        if text.is_null() {
            return String::new();
        }
        let name = CStr::from_ptr(text).to_string_lossy().into_owned();
        ffi::duckdb_free(text.cast());
        name
    }
}

/// How numbers of this type are kept, if they are numbers.
fn number(id: ffi::duckdb_type, logical: &LogicalType) -> Option<Number> {
    Some(match id {
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => Number::Boolean,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => Number::Tinyint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Number::Smallint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Number::Integer,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Number::Bigint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => Number::Hugeint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => Number::Utinyint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => Number::Usmallint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => Number::Uinteger,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => Number::Ubigint,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => Number::Float,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => Number::Double,
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
            // SAFETY: the type is live, and a decimal.
            let (scale, integer) =
                unsafe { (ffi::duckdb_decimal_scale(logical.raw()), ffi::duckdb_decimal_internal_type(logical.raw())) };
            let integer = match integer {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Integer::Two,
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Integer::Four,
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Integer::Eight,
                _ => Integer::Sixteen,
            };
            Number::Decimal(integer, scale)
        }
        _ => return None,
    })
}

/// What a type is called that is nothing to us.
fn name(id: ffi::duckdb_type) -> &'static str {
    match id {
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE => "DATE",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => "TIMESTAMP",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME => "TIME",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL => "INTERVAL",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_ENUM => "ENUM",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_MAP => "MAP",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UUID => "UUID",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UNION => "UNION",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIT => "BIT",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_GEOMETRY => "GEOMETRY",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARIANT => "VARIANT",
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_UHUGEINT => "UHUGEINT",
        _ => "value of this type",
    }
}
