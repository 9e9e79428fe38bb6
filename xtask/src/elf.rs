//! Whether a program is static: whether it asks for no loader and no library (System V ABI, "Program Loading and Dynamic Linking").

use anyhow::{Context, Result, ensure};

/// What a 64-bit little-endian ELF file begins with, which all machines have that the agent is built for.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// Where the file's header says where the program headers are, of how many bytes each is, and how many there are.
const HEADERS_AT: usize = 32;
const HEADER_BYTES_AT: usize = 54;
const HEADERS_COUNT_AT: usize = 56;
/// A program header: what it is, where in the file its segment is, and how long.
const SEGMENT_OFFSET_AT: usize = 8;
const SEGMENT_BYTES_AT: usize = 32;
/// `PT_DYNAMIC`: the segment is the list of what is linked at run time; static programs that may lie anywhere have one too.
const DYNAMIC: u32 = 2;
/// `PT_INTERP`: the segment names the loader.
const INTERPRETER: u32 = 3;
/// An entry of that list has two numbers. `DT_NULL` ends it, `DT_NEEDED` names a library.
const ENTRY_BYTES: usize = 16;
const END: u64 = 0;
const NEEDED: u64 = 1;

/// Whether the program runs without anything else.
pub(crate) fn is_static(program: &[u8]) -> Result<bool> {
    ensure!(program.starts_with(MAGIC), "it is no program of a 64-bit Linux");
    let headers = place(program, HEADERS_AT)?;
    let (bytes, count) = (half(program, HEADER_BYTES_AT)?, half(program, HEADERS_COUNT_AT)?);
    for number in 0..usize::from(count) {
        let header = number.checked_mul(usize::from(bytes)).and_then(|after| headers.checked_add(after));
        let header = header.and_then(|at| program.get(at..)).context("a program header is cut off")?;
        match u32::from_le_bytes(*header.first_chunk().context("a program header is cut off")?) {
            INTERPRETER => return Ok(false),
            DYNAMIC if needs_libraries(program, header)? => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}

fn needs_libraries(program: &[u8], header: &[u8]) -> Result<bool> {
    let (at, bytes) = (place(header, SEGMENT_OFFSET_AT)?, place(header, SEGMENT_BYTES_AT)?);
    let list = at.checked_add(bytes).and_then(|end| program.get(at..end)).context("a list is cut off")?;
    let tags = list.chunks_exact(ENTRY_BYTES).filter_map(|entry| entry.first_chunk());
    Ok(tags.map(|tag| u64::from_le_bytes(*tag)).take_while(|tag| *tag != END).any(|tag| tag == NEEDED))
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk()).context("its header is cut off")?;
    Ok(u16::from_le_bytes(*found))
}

fn place(bytes: &[u8], at: usize) -> Result<usize> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk()).context("its header is cut off")?;
    usize::try_from(u64::from_le_bytes(*found)).context("it is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: usize = 64;
    const BYTES: usize = 56;

    /// A file with such segments and such a list.
    fn program(segments: &[u32], list: &[u64]) -> Vec<u8> {
        let mut file = vec![0; HEADERS];
        file[..MAGIC.len()].copy_from_slice(MAGIC);
        file[HEADERS_AT..HEADERS_AT + 8].copy_from_slice(&(HEADERS as u64).to_le_bytes());
        file[HEADER_BYTES_AT..HEADER_BYTES_AT + 2].copy_from_slice(&(BYTES as u16).to_le_bytes());
        file[HEADERS_COUNT_AT..HEADERS_COUNT_AT + 2].copy_from_slice(&(segments.len() as u16).to_le_bytes());
        let list_at = HEADERS + segments.len() * BYTES;
        for segment in segments {
            let mut header = [0; BYTES];
            header[..4].copy_from_slice(&segment.to_le_bytes());
            header[SEGMENT_OFFSET_AT..SEGMENT_OFFSET_AT + 8].copy_from_slice(&(list_at as u64).to_le_bytes());
            let bytes = (list.len() * ENTRY_BYTES) as u64;
            header[SEGMENT_BYTES_AT..SEGMENT_BYTES_AT + 8].copy_from_slice(&bytes.to_le_bytes());
            file.extend(header);
        }
        for tag in list {
            file.extend(tag.to_le_bytes());
            file.extend([0; 8]);
        }
        file
    }

    #[test]
    fn a_program_is_static_that_names_neither_a_loader_nor_a_library() {
        const LOAD: u32 = 1;
        const FLAGS: u64 = 30;
        let cases: [(&[u32], &[u64], bool); 6] = [
            (&[LOAD], &[], true),
            (&[LOAD, DYNAMIC], &[FLAGS, END, NEEDED], true),
            (&[LOAD, DYNAMIC], &[FLAGS, NEEDED, END], false),
            (&[INTERPRETER, LOAD], &[], false),
            (&[INTERPRETER, LOAD, DYNAMIC], &[NEEDED], false),
            (&[], &[], true),
        ];
        for (segments, list, expected) in cases {
            assert_eq!(is_static(&program(segments, list)).unwrap(), expected, "{segments:?} {list:?}");
        }
    }

    #[test]
    fn this_program_is_not_and_what_is_none_is_an_error() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static(&own).unwrap());
        let whole = program(&[DYNAMIC], &[NEEDED]);
        for length in 0..whole.len() {
            assert!(is_static(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(is_static(b"#!/bin/sh\n").is_err());
    }
}
