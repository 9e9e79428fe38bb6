//! Runs `tests/scenarios/*.yaml`.
