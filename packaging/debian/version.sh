#!/bin/sh
# Prints the version of a Debian package for a version that git describes, of a commit at a time in seconds: version.sh VERSION TIME
#
#   v1.2.0-rc1            1.2.0~rc1-1            before 1.2.0
#   v1.2.0                1.2.0-1
#   v1.2.0-5-g1234567     1.2.0+5+g1234567-1     after it
#   1234567-dirty         0~git20261122+1234567+dirty-1     no version yet: before all of them, by date
set -eu
case $1 in
v[0-9]* | [0-9]*.*) upstream=$(echo "$1" | sed -E 's/^v//; s/-(alpha|beta|rc)/~\1/; s/-/+/g') ;;
*) upstream=0~git$(date -u -d "@$2" +%Y%m%d)+$(echo "$1" | tr - +) ;;
esac
echo "$upstream-1"
