//! Part of Lanyard.
