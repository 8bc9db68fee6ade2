//! Scalar functions: one body for each overload.

use super::guard::callback;
use super::types::Container;
use super::{Caller, Help, Input, Output, Registry, Type, Version, access, ffi, version};
use crate::host::Database;
use sam_runtime::{Failure, Result};
use std::ffi::{CStr, c_void};
use std::sync::Arc;

/// A scalar function with its overloads.
///
/// All are registered with special NULL handling, so that the body decides about NULL everywhere. Rows with NULL
/// arguments reach it in any case as soon as one row of the vector is not NULL. None is volatile: the optimizer may
/// fold a constant call, share equal calls, move them above a limit, and drop unused ones.
pub struct ScalarFunction {
    /// The name in SQL.
    pub name: &'static CStr,
    /// What it says about itself.
    pub help: Help,
    /// One list of arguments and body each.
    pub overloads: &'static [Overload],
}

/// A list of arguments and the body for it.
pub struct Overload {
    /// The arguments. Where one may have several types, the engine is told one signature for each combination.
    pub parameters: &'static [Parameter],
    /// The type of the result.
    pub returns: Type,
    /// Computes the rows of one vector. Every row of the output must be written.
    pub run: fn(&Input<'_>, &mut Output<'_>) -> Result<()>,
}

/// One argument.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// What the reference calls it; the engine knows arguments by their position only.
    pub name: &'static str,
    /// The types it may have.
    pub types: &'static [Type],
    /// Types that are accepted for no other purpose than to say what to give instead.
    pub refused: &'static [Type],
    /// Whether the engine is told that it may be of any type: for structs, which it casts only where they have the very
    /// fields. Then `types` are what the reference says.
    pub any: bool,
}

impl Parameter {
    /// An argument that may have any of `types`.
    pub const fn new(name: &'static str, types: &'static [Type]) -> Self {
        Self { name, types, refused: &[], any: false }
    }

    /// An argument that is read by [`super::Any`], as one of `types` or what is near to them.
    pub const fn any(name: &'static str, types: &'static [Type]) -> Self {
        Self { name, types, refused: &[], any: true }
    }

    /// The types that the engine is told, and how it is to hold each, in a function that it may run on dictionaries or not.
    ///
    /// Inside a union a value is a struct to the engine, see [`Overload::is_exposed`]. The cast to it is implicit and
    /// as near as none, so that overloads are chosen as before, and copies no bytes. There is none from a text that
    /// stands for a number, so that numbers stay as they are. Nor is it as near for a literal: what is refused stays
    /// what a literal is taken for. Where any type may be, text is told apart to be held so.
    fn registered(&self, exposed: bool) -> impl Iterator<Item = (Type, Container)> {
        let types = if self.any { &[Type::Any] } else { self.types };
        let text =
            (exposed && self.any && self.types.contains(&Type::Varchar)).then_some((Type::Varchar, Container::Union));
        let container = move |kind: &Type| match kind {
            Type::Blob | Type::Varchar if exposed => (*kind, Container::Union),
            _ => (*kind, Container::Plain),
        };
        let refused = self.refused.iter().map(|kind| (*kind, Container::Plain));
        types.iter().map(container).chain(text).chain(refused)
    }
}

impl Overload {
    /// Whether DuckDB 1.4 and 1.5 run it on all entries of a dictionary, including those of rows that a filter has
    /// dropped. They do if its result is no struct, and in a call the first argument that is not constant is none
    /// either.
    fn is_exposed(&self, engine: Version) -> bool {
        engine.runs_dictionaries() && !matches!(self.returns, Type::Struct(_))
    }

    /// All combinations of the types of its arguments.
    fn signatures(&self, engine: Version) -> Vec<Vec<(Type, Container)>> {
        let exposed = self.is_exposed(engine);
        self.parameters.iter().fold(vec![Vec::new()], |signatures, parameter| {
            let extended = |signature: &Vec<(Type, Container)>| {
                let signature = signature.clone();
                parameter
                    .registered(exposed)
                    .map(move |one| [signature.as_slice(), &[one]].concat())
                    .collect::<Vec<_>>()
            };
            signatures.iter().flat_map(extended).collect()
        })
    }
}

/// What a callback needs to know; owned by the engine's catalog.
struct Registered {
    name: &'static str,
    overload: &'static Overload,
    /// The types of the arguments, and how they are held.
    signature: Vec<(Type, Container)>,
    /// Who has registered it.
    database: Arc<Database>,
}

impl Registry {
    /// Registers a scalar function.
    pub fn scalar(&self, function: &'static ScalarFunction) -> Result<()> {
        let name = function.name.to_str().map_err(Failure::internal)?;
        // SAFETY: every handle is created, used and destroyed here; the engine copies functions into the set and
        // the set into its catalog. `Registered` is handed over with the function that frees it.
        let state = unsafe {
            let mut set = ffi::duckdb_create_scalar_function_set(function.name.as_ptr());
            let mut state = ffi::DuckDBSuccess;
            let engine = version::of_engine();
            let signatures =
                |overload| Overload::signatures(overload, engine).into_iter().map(move |types| (overload, types));
            for (overload, signature) in function.overloads.iter().flat_map(signatures) {
                let mut handle = ffi::duckdb_create_scalar_function();
                ffi::duckdb_scalar_function_set_name(handle, function.name.as_ptr());
                for (kind, container) in &signature {
                    let held = match container {
                        Container::Plain => kind.create(),
                        Container::Union => kind.create_union(),
                    };
                    ffi::duckdb_scalar_function_add_parameter(handle, held.raw());
                }
                ffi::duckdb_scalar_function_set_return_type(handle, overload.returns.create().raw());
                ffi::duckdb_scalar_function_set_special_handling(handle);
                if access::has_second_band() {
                    ffi::duckdb_scalar_function_set_bind(handle, Some(bind));
                }
                let registered =
                    Box::into_raw(Box::new(Registered { name, overload, signature, database: self.database.clone() }));
                ffi::duckdb_scalar_function_set_extra_info(handle, registered.cast::<c_void>(), Some(free));
                ffi::duckdb_scalar_function_set_function(handle, Some(call));
                state |= ffi::duckdb_add_scalar_function_to_set(set, handle);
                ffi::duckdb_destroy_scalar_function(&mut handle);
            }
            state |= ffi::duckdb_register_scalar_function_set(self.connection, set);
            ffi::duckdb_destroy_scalar_function_set(&mut set);
            state
        };
        match state {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Failure::input(format!("cannot register the function {name}"))),
        }
    }
}

/// # Safety
/// Called by the engine with the pointer that was handed over, once.
unsafe extern "C" fn free(registered: *mut c_void) {
    // SAFETY: the pointer came from `Box::into_raw` of a `Registered`.
    drop(unsafe { Box::from_raw(registered.cast::<Registered>()) });
}

/// # Safety
/// Called by the engine when a call of a registered overload is planned.
unsafe extern "C-unwind" fn bind(info: ffi::duckdb_bind_info) {
    let body = |function: &mut &'static str| {
        // SAFETY: the extra information is the `Registered`, or NULL; the entry exists in engines that tell.
        unsafe {
            let registered = ffi::duckdb_scalar_function_bind_get_extra_info(info).cast::<Registered>().as_ref();
            *function = registered.map_or("sam", |registered| registered.name);
            access::carry(info)
        }
    };
    // SAFETY: the engine copies the text.
    callback(body, |text| unsafe { ffi::duckdb_scalar_function_bind_set_error(info, text.as_ptr()) });
}

/// # Safety
/// Called by the engine with the arguments of a registered overload.
unsafe extern "C-unwind" fn call(
    info: ffi::duckdb_function_info,
    chunk: ffi::duckdb_data_chunk,
    result: ffi::duckdb_vector,
) {
    let body = |function: &mut &'static str| {
        // SAFETY: the extra information is the `Registered` of this overload and lives as long as the function.
        let registered = unsafe { ffi::duckdb_scalar_function_get_extra_info(info).cast::<Registered>().as_ref() };
        let Registered { name, overload, signature, database } =
            registered.ok_or_else(|| Failure::internal("no extra information"))?;
        *function = name;
        // SAFETY: the engine passes a flattened chunk of the registered types and a flat result vector with room
        // for as many rows, both alive until this callback returns.
        let (input, mut output) = unsafe {
            let caller = Caller { function: name, connection: access::of_call(info), database };
            let input = Input::new(caller, chunk, signature)?;
            let output = Output::new(result, overload.returns, input.rows());
            (input, output)
        };
        (overload.run)(&input, &mut output)
    };
    // SAFETY: the engine copies the text.
    callback(body, |text| unsafe { ffi::duckdb_scalar_function_set_error(info, text.as_ptr()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Version = Version::parse(b"v1.3.2");

    /// What the engine is told of a function with one argument.
    fn signature(parameters: &'static [Parameter], returns: Type, version: &str) -> Vec<(Type, Container)> {
        let overload = Overload { parameters, returns, run: |_, _| Ok(()) };
        overload.signatures(Version::parse(version.as_bytes())).concat()
    }

    #[test]
    fn a_signature_for_each_combination() {
        const PARAMETERS: &[Parameter] = &[
            Parameter { refused: &[Type::Varchar], ..Parameter::new("a", &[Type::Blob]) },
            Parameter::new("b", &[Type::Integer, Type::Double]),
        ];
        let overload = Overload { parameters: PARAMETERS, returns: Type::Boolean, run: |_, _| Ok(()) };
        let expected = [
            [Type::Blob, Type::Integer],
            [Type::Blob, Type::Double],
            [Type::Varchar, Type::Integer],
            [Type::Varchar, Type::Double],
        ];
        assert_eq!(overload.signatures(OLD), expected.map(|types| types.map(|kind| (kind, Container::Plain))));
        assert_eq!(Overload { parameters: &[], ..overload }.signatures(OLD), [[]]);
    }

    #[test]
    fn what_would_run_on_dictionaries_is_held_in_a_union() {
        const FILE: Type = Type::Struct(&[(c"bytes", Type::Blob)]);
        const IMAGE: &[Parameter] =
            &[Parameter { refused: &[Type::Varchar], ..Parameter::new("image", &[Type::Blob, FILE]) }];
        const FORMAT: &[Parameter] = &[Parameter::new("format", &[Type::Varchar])];
        const SIDE: &[Parameter] = &[Parameter::new("side", &[Type::Bigint])];
        const MASK: &[Parameter] = &[Parameter::any("mask", &[FILE, Type::Varchar])];
        const PROMPTS: &[Parameter] = &[Parameter::any("prompts", &[FILE])];
        let plain = |types: &[Type]| types.iter().map(|kind| (*kind, Container::Plain)).collect::<Vec<_>>();
        let held = |kind| (kind, Container::Union);
        for version in ["v1.4.4", "v1.5.6"] {
            let registered = |parameters| signature(parameters, Type::Varchar, version);
            assert_eq!(registered(IMAGE), [vec![held(Type::Blob)], plain(&[FILE, Type::Varchar])].concat());
            assert_eq!(registered(FORMAT), [held(Type::Varchar)]);
            assert_eq!(registered(MASK), [(Type::Any, Container::Plain), held(Type::Varchar)]);
            assert_eq!(registered(SIDE), plain(&[Type::Bigint]));
            assert_eq!(registered(PROMPTS), plain(&[Type::Any]));
            assert_eq!(signature(IMAGE, FILE, version), plain(&[Type::Blob, FILE, Type::Varchar]));
        }
        for version in ["v1.3.2", "v2.0.0"] {
            assert_eq!(signature(IMAGE, Type::Varchar, version), plain(&[Type::Blob, FILE, Type::Varchar]));
            assert_eq!(signature(MASK, Type::Varchar, version), plain(&[Type::Any]));
        }
    }
}
