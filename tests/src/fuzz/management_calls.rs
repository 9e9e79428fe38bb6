//! Messages of management calls, as the front door gets them: a method's path on the first line, then the bytes.

use lanyard_api::CallError;
use lanyard_api::methods;

/// Reads a message as its method's, with its update mask where it has one. What is refused is told the same twice, and of a mask in
/// one bounded line.
pub fn management_calls(input: &[u8]) -> bool {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, rest) = input.split_at(at);
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let message = rest.get(1..).unwrap_or_default();
    let wrong = methods::unreadable(path, message);
    match methods::read(path, message) {
        Ok(call) => {
            assert!(wrong.is_none(), "it is read and it is not");
            assert_eq!(methods::read(path, message), Ok(call), "the same bytes are the same call");
            true
        }
        Err(denial) if denial.code == methods::UNKNOWN_METHOD => false,
        Err(denial) => {
            assert_eq!(denial.code, methods::INVALID_REQUEST, "a message is the client's affair");
            let said = wrong.as_ref().map(ToString::to_string);
            assert_eq!(said.as_deref(), Some(&*denial.message), "it is told the same twice");
            if let Some(CallError::Invalid { field, message, .. }) = wrong
                && field == "update_mask"
            {
                assert!(message.len() < 1024 && !message.contains('\n'), "one bounded line");
            }
            false
        }
    }
}
