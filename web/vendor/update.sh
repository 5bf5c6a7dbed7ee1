#!/bin/sh
# Usage: web/vendor/update.sh [version]
#
# Fetches onnxruntime-web with npm and packs the two files that the page uses; see README.md beside this file.
set -eu
cd "$(dirname "$0")"
version=${1:-1.30.0}
here=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent "onnxruntime-web@$version" >/dev/null
tar xzf onnxruntime-web-*.tgz package/dist/ort.wasm.bundle.min.mjs package/dist/ort-wasm-simd-threaded.wasm
sed '/^\/\/# sourceMappingURL/d' package/dist/ort.wasm.bundle.min.mjs >"$here/ort.wasm.bundle.min.mjs"
gzip -9 -n -c package/dist/ort-wasm-simd-threaded.wasm >"$here/ort.wasm.gz"
cd "$here"
sha256sum ort.wasm.bundle.min.mjs ort.wasm.gz >SHA256SUMS
cat SHA256SUMS
