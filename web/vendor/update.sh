#!/bin/sh
# Usage: web/vendor/update.sh [--new] [version]
#
# Fetches onnxruntime-web with npm and packs the two files that the page uses; see README.md beside this file. They must
# have the sums of SHA256SUMS, or nothing is changed; --new, for another version, writes the sums anew.
set -eu
cd "$(dirname "$0")"
new=
if [ "${1:-}" = --new ]; then
    new=yes
    shift
fi
version=${1:-1.30.0}
here=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent "onnxruntime-web@$version" >/dev/null
tar xzf onnxruntime-web-*.tgz package/dist/ort.wasm.bundle.min.mjs package/dist/ort-wasm-simd-threaded.wasm
sed '/^\/\/# sourceMappingURL/d' package/dist/ort.wasm.bundle.min.mjs >ort.wasm.bundle.min.mjs
gzip -9 -n -c package/dist/ort-wasm-simd-threaded.wasm >ort.wasm.gz
if [ "$new" ]; then
    sha256sum ort.wasm.bundle.min.mjs ort.wasm.gz >"$here/SHA256SUMS"
else
    sha256sum -c "$here/SHA256SUMS"
fi
cp ort.wasm.bundle.min.mjs ort.wasm.gz "$here"
cat "$here/SHA256SUMS"
