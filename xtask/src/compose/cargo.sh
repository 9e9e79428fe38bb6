#!/bin/sh
# Stands for the toolchain: what it would build was built already.
set -eu
[ "$1" = build ] && [ -f Cargo.toml ]
install -D /opt/lanyard target/release/lanyard
