//! The lines of a watch, however its bytes come.

use bytes::BytesMut;

/// What has come of a watch, to be cut into lines. No byte is looked at twice for where its line ends: a line may be long, and come in
/// pieces as small as whoever sends it likes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// So many bytes of it hold no end of a line.
    searched: usize,
}

impl Lines {
    /// More has come.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, with its end.
    pub(super) fn cut(&mut self) -> Option<BytesMut> {
        let rest = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + at + 1);
        self.searched = 0;
        Some(line)
    }

    /// How many bytes have come that no whole line was cut of.
    pub(super) fn bytes_left(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_their_bytes_come_and_no_byte_is_searched_twice() {
        let text = b"{\"a\":1}\n\n{\"b\":\"\xc3\xbc\"}\nhalf";
        for piece in [1, 2, 3, 7, text.len()] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for bytes in text.chunks(piece) {
                lines.add(bytes);
                while let Some(line) = lines.cut() {
                    found.push(line.to_vec());
                }
                assert_eq!(lines.searched, lines.bytes_left(), "in pieces of {piece}");
            }
            let expected: [&[u8]; 3] = [b"{\"a\":1}\n", b"\n", b"{\"b\":\"\xc3\xbc\"}\n"];
            assert_eq!(found, expected, "in pieces of {piece}");
            assert_eq!(lines.bytes_left(), b"half".len(), "in pieces of {piece}");
        }
    }
}
