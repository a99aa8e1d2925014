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
cp -r "$cases/../proto/google" "$work/in/google"
cp "$cases/catalogue/contract.proto" "$work/in/tandem/cases/catalogue/v1/contract.proto"
cp "$cases/catalogue/record.proto" "$work/in/tandem/cases/catalogue/v1/record.proto"
cp "$cases/proto/admin.proto" "$work/in/tandem/cases/admin/v1/admin.proto"
cat >"$work/in/buf.yaml" <<'YAML'
version: v2
YAML
cat >"$work/buf.gen.yaml" <<YAML
version: v2
plugins:
  - local: ["$tools/gen/protoc-gen-go"]
    out: $work/out
    opt: [module=tandem.local/cases]
  - local: ["$tools/gen/protoc-gen-go-grpc"]
    out: $work/out
    opt: [module=tandem.local/cases]
YAML
(cd "$work/in" && "$tools/gen/node_modules/.bin/buf" generate --template "$work/buf.gen.yaml" --path tandem)
if [ "${1:-}" = --check ]; then
  for folder in service/go/gen catalogue/go/gen; do
    diff -r "$work/out/$folder" "$cases/$folder" || {
      echo "the stubs under cases/$folder are stale: run cases/gen.sh" >&2
      exit 1
    }
  done
  echo "stubs are fresh"
else
  for folder in service/go/gen catalogue/go/gen; do
    rm -rf "${cases:?}/$folder"
    mkdir -p "$cases/$folder"
    cp -r "$work/out/$folder/." "$cases/$folder/"
  done
fi
