#!/bin/sh
# Prints what Jackfield's program is made of besides Jackfield, with the licences, which want to go along with it:
# third-party.sh
#
# It fails where a module has no licence.
set -eu
cd "$(dirname "$0")/.."

modules=$(GOOS=linux CGO_ENABLED=0 go list -deps \
	-f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/jackfield)
list="$(echo "$modules" | LC_ALL=C sort -u)
Go $(go env GOVERSION) $(go env GOROOT)"

echo 'The program jackfield contains these modules and Go'\''s standard library. What follows are their licences and notices.'
echo
echo "$list" | while read -r path version _; do echo "  $path $version"; done
echo "$list" | while read -r path version dir; do
	texts=$(find -L "$dir" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' \) | LC_ALL=C sort)
	[ -n "$texts" ] || { echo "third-party.sh: $path $version has no licence" >&2; exit 1; }
	for text in $texts $(find -L "$dir" -maxdepth 1 -type f \( -iname 'notice*' -o -iname 'patents*' \) | LC_ALL=C sort); do
		printf '\n\n=== %s %s: %s\n\n' "$path" "$version" "$(basename "$text")"
		cat "$text"
	done
done
