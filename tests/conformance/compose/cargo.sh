#!/bin/sh
# Stands for the toolchain: what it would build was built already.
set -eu
[ "$*" = "build --profile dist --locked --package lanyard" ] && grep -q '^\[profile.dist\]' Cargo.toml
install -D /opt/lanyard target/dist/lanyard
