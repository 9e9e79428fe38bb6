//! What every reader promises of its errors.

/// Longest message, in bytes: the longest ARN in backticks, and words around it.
const MESSAGE_BYTES_MAX: usize = 3 * 1024;

/// So much of a secret, in bytes, may stand in a message by chance or as the beginning of a name; not more.
const REPEATED_BYTES_MAX: usize = 80;

/// A refusal is one line of bounded length, without control characters: it ends in logs, in JSON and on terminals.
pub(super) fn is_one_bounded_line(message: &str) {
    assert!(!message.is_empty(), "a refusal has no text");
    assert!(message.len() <= MESSAGE_BYTES_MAX, "a refusal of {} bytes", message.len());
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!message.contains(breaks), "a refusal with a control character: {message:?}");
}

/// A stable name: snake case.
pub(super) fn is_reason_code(code: &str) {
    let snake = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    assert!(!code.is_empty() && code.bytes().all(snake), "a reason code of another form: `{code}`");
}

/// Nothing that could be presented as the secret stands in the text.
pub(super) fn gives_nothing_away(text: &str, secret: &str) {
    let windows = text.as_bytes().windows(REPEATED_BYTES_MAX);
    let repeats = |window: &[u8]| secret.as_bytes().windows(window.len()).any(|part| part == window);
    assert!(!windows.into_iter().any(repeats), "a text repeats what it must not: {text}");
}
