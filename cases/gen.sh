#!/bin/sh
# Makes the committed Go stubs of the contracts; with --check it fails when they are stale.
#
# Needs npm and Go; the compiler (buf) and the two plugins come as packages, into target/tools.
set -eu
cases=$(cd "$(dirname "$0")" && pwd)
tools="$cases/../target/tools"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$tools/gen"
if [ ! -x "$tools/gen/node_modules/.bin/buf" ]; then
  (cd "$tools/gen" && npm install --silent --no-save --no-audit --no-fund @bufbuild/buf@1.75.0)
fi
if [ ! -x "$tools/gen/protoc-gen-go" ]; then
  GOBIN="$tools/gen" go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
  GOBIN="$tools/gen" go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
fi
# The contracts under the names by which they are imported.
mkdir -p "$work/in/tandem/cases/catalogue/v1" "$work/in/tandem/cases/admin/v1"
cp -r "$cases/../proto/google" "$cases/../proto/buf" "$work/in"
cp -r "$cases/../proto/tandem/settings" "$work/in/tandem/settings"
cp -r "$cases/../proto/tandem/runtime" "$work/in/tandem/runtime"
cp "$cases/catalogue/contract.proto" "$work/in/tandem/cases/catalogue/v1/contract.proto"
cp "$cases/catalogue/record.proto" "$work/in/tandem/cases/catalogue/v1/record.proto"
cp "$cases/proto/admin.proto" "$work/in/tandem/cases/admin/v1/admin.proto"
cat >"$work/in/buf.yaml" <<'YAML'
version: v2
YAML
rules=Mbuf/validate/validate.proto=tandem.local/cases/service/go/gen/validatepb
cat >"$work/buf.gen.yaml" <<YAML
version: v2
plugins:
  - local: ["$tools/gen/protoc-gen-go"]
    out: $work/out
    opt: [$rules]
  - local: ["$tools/gen/protoc-gen-go-grpc"]
    out: $work/out
    opt: [$rules]
YAML
(cd "$work/in" && "$tools/gen/node_modules/.bin/buf" generate --template "$work/buf.gen.yaml" --path tandem --path buf)
# Each module takes what is its own.
mkdir -p "$work/out/client"
mv "$work/out/tandem.dev/clients/go/settingspb" "$work/out/tandem.dev/clients/go/runtimepb" "$work/out/client"
mv "$work/out/tandem.local/cases/service" "$work/out/tandem.local/cases/catalogue" "$work/out"
# Generated, and where it is committed.
pairs="service/go/gen:$cases/service/go/gen catalogue/go/gen:$cases/catalogue/go/gen client/settingspb:$cases/../clients/go/settingspb client/runtimepb:$cases/../clients/go/runtimepb"
for pair in $pairs; do
  made="$work/out/${pair%%:*}" place="${pair#*:}"
  if [ "${1:-}" = --check ]; then
    diff -r "$made" "$place" || {
      echo "the stubs under $place are stale: run cases/gen.sh" >&2
      exit 1
    }
  else
    rm -rf "${place:?}"
    mkdir -p "$place"
    cp -r "$made/." "$place/"
  fi
done
if [ "${1:-}" = --check ]; then
  echo "stubs are fresh"
fi
