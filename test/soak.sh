#!/usr/bin/env bash
# Fuzzes every target for a time (default 10m each), then runs the tests of what moves bytes again and again: soak.sh [TIME]
# It stops at the first finding, which Go leaves below the package's testdata/fuzz.
set -eu
time=${1:-10m}
cd "$(dirname "$0")/.."

for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		# Shrinking every new input takes longer than finding it.
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x
	done
done

go test -race -count=20 -timeout 60m ./internal/relay ./internal/listen/... ./internal/gateway ./internal/route/... ./wire/...
JACKFIELD_SOAK=5m go test -race -count=5 -parallel 8 -timeout 90m ./test/e2e ./test/interop
JACKFIELD_SOAK=5m go test -race -count=1 -timeout 60m -v ./test/soak
JACKFIELD_SOAK=5m go test -race -count=1 -timeout 60m ./internal/store/jetstream
