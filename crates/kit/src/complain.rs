use std::io::{self, Write as _};

/// One line on standard error, where there is no log. `eprintln!` would panic where whoever read it went away (`2>&1 | true`), and the
/// process end with the code of a panic in place of its own.
pub fn complain(text: &str) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
