//! The DuckDB extension `sam`.
