#!/bin/sh
# Makes the committed Go code of bench/proto/orders.proto for the peers that are written in Go.
#
# Needs npm and Go; the compiler (buf) and the plugins come as packages, into target/tools.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root="$here/../../.."
tools="$root/target/tools/gen-peers"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$tools"
if [ ! -x "$tools/node_modules/.bin/buf" ]; then
  (cd "$tools" && npm install --silent --no-save --no-audit --no-fund @bufbuild/buf@1.75.0)
fi
GOBIN="$tools"
export GOBIN
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
go install github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.33.0
mkdir "$work/in"
cp -r "$root/proto/google" "$work/in/google"
cp "$root/bench/proto/orders.proto" "$root/bench/codec/proto/bench.proto" "$work/in"
printf 'version: v2\n' >"$work/in/buf.yaml"
package=tandem.local/bench/orders
options="[module=tandem.local/bench, Mbench.proto=$package, Morders.proto=$package]"
cat >"$work/buf.gen.yaml" <<YAML
version: v2
plugins:
  - local: ["$tools/protoc-gen-go"]
    out: $work/out
    opt: $options
  - local: ["$tools/protoc-gen-go-grpc"]
    out: $work/out
    opt: $options
  - local: ["$tools/protoc-gen-grpc-gateway"]
    out: $work/out
    opt: $options
YAML
(cd "$work/in" && "$tools/node_modules/.bin/buf" generate --template "$work/buf.gen.yaml" \
  --path bench.proto --path orders.proto)
rm -rf "$here/orders"
cp -r "$work/out/orders" "$here/orders"
