//! What no single crate can show.
//!
//! [`fuzz`] holds the fuzz targets' work: one function for each kind of bytes that a stranger can send, which reads them as
//! the suite does and holds the reader to what it promises. The programs of the folder `fuzz` call these functions with
//! whatever libFuzzer thinks of (`cargo xtask fuzz`); the tests of this package call them with every input that is kept in
//! `fuzz/corpus`, on every run.
//!
//! The benchmarks of the whole are in `benches` (`cargo xtask bench`).

pub mod fuzz;
