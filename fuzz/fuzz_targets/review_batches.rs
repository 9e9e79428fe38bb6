#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    lanyard_tests::fuzz::review_batches(input);
});
