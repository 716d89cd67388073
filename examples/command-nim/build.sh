#!/bin/sh
# Builds unsubscribe.wasm, or the file that is named. It needs Debian's nim, clang-14, lld-14, wasi-libc and
# libclang-rt-14-dev-wasm32.
set -eu
out=$(realpath -m "${1:-unsubscribe.wasm}")
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
printf '#!/bin/sh\nexec clang-14 --target=wasm32-wasi "$@"\n' >"$tmp/clang"
chmod +x "$tmp/clang"
nim c --hints:off --nimcache:"$tmp/cache" --cc:clang --clang.path:"$tmp" --clang.exe:clang --clang.linkerexe:clang \
	--cpu:wasm32 --os:linux -d:posix -d:useMalloc -d:noSignalHandler -d:release --mm:arc --threads:off --opt:size \
	--exceptions:goto --noMain:on --passC:-D_WASI_EMULATED_SIGNAL --passL:-lwasi-emulated-signal --passL:-Wl,--stack-first,-s \
	-o:"$out" unsubscribe.nim
