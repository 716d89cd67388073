#!/bin/sh
# Builds wordcount.wasm, or the file that is named. It needs Debian's ldc, clang-14, lld-14, wasi-libc and
# libclang-rt-14-dev-wasm32.
set -eu
out=$(realpath -m "${1:-wordcount.wasm}")
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ldc2 -mtriple=wasm32-unknown-unknown-wasm -betterC -O2 -c wordcount.d -of="$tmp/wordcount.o"
clang-14 --target=wasm32-wasi -s -Wl,--stack-first -o "$out" "$tmp/wordcount.o"
