#!/bin/sh
# Makes the file system of the container image: rootfs.sh BUILD
#
# BUILD is where "make image" has put jackfield and third-party.txt; the result is BUILD/rootfs.tar. The same input gives
# the same bytes: $SOURCE_DATE_EPOCH, which must be set, is the date of all there is. It takes no rights.
set -eu
umask 022

build=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
root=$work/root
state=var/lib/jackfield

put() { # MODE FILE PLACE
	install -D -m "$1" "$2" "$root/$3"
}

pack() { # OPERATION USER; the paths are on standard input
	tar "--$1" --file "$work/rootfs.tar" --directory "$root" --no-recursion --files-from - --format=ustar \
		--owner="$2" --group="$2" --numeric-owner --mtime="@$SOURCE_DATE_EPOCH"
}

put 755 "$build/jackfield" usr/bin/jackfield
put 644 "$here/jackfield.hcl" etc/jackfield/jackfield.hcl
put 644 "$here/container/passwd" etc/passwd
put 644 "$here/container/group" etc/group
put 644 "$here/../LICENSE" usr/share/doc/jackfield/LICENSE
put 644 "$build/third-party.txt" usr/share/doc/jackfield/third-party.txt
install -d -m 1777 "$root/tmp"
install -d -m 700 "$root/$state"

(cd "$root" && find ./* ! -path "./$state" | LC_ALL=C sort) | pack create 0
echo "./$state" | pack append 65532
mv "$work/rootfs.tar" "$build/rootfs.tar"
