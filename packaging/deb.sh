#!/bin/sh
# Builds the package for Debian: deb.sh BUILD VERSION
#
# BUILD is where "make deb" has put jackfield, man/, completions/ and third-party.txt; VERSION is what git describes. The
# result is BUILD/jackfield_VERSION_ARCHITECTURE.deb, for the architecture of BUILD/jackfield. It takes dpkg-deb and no
# rights, and the same input gives the same bytes: $SOURCE_DATE_EPOCH, which must be set, is the date of all there is.
# $DEBFULLNAME and $DEBEMAIL are the maintainer.
set -eu
umask 022

build=$1
here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")
maintainer="${DEBFULLNAME:-Jackfield maintainers} <${DEBEMAIL:-noreply@jackfield.invalid}>"
export SOURCE_DATE_EPOCH

# setting is one of the settings that a Go program was built with.
setting() {
	go version -m "$build/jackfield" | sed -n "s/^\tbuild\t$1=//p"
}

debian_architecture() {
	case $(setting GOARCH) in
	386) echo i386 ;;
	arm) if [ "$(setting GOARM)" = 5 ]; then echo armel; else echo armhf; fi ;;
	ppc64le) echo ppc64el ;;
	*) setting GOARCH ;;
	esac
}

put() { # MODE FILE PLACE
	install -D -m "$1" "$2" "$stage/$3"
}

compress() { # FILE PLACE
	mkdir -p "$(dirname "$stage/$2")"
	gzip -9n <"$1" >"$stage/$2"
}

program() {
	put 755 "$build/jackfield" usr/bin/jackfield
	put 644 "$here/jackfield.hcl" etc/jackfield/jackfield.hcl
	for unit in jackfield.service jackfield.socket jackfield-agent.service; do put 644 "$here/systemd/$unit" "usr/lib/systemd/system/$unit"; done
	put 644 "$here/systemd/jackfield.sysusers" usr/lib/sysusers.d/jackfield.conf
	put 644 "$build/completions/jackfield.bash" usr/share/bash-completion/completions/jackfield
	put 644 "$build/completions/_jackfield" usr/share/zsh/vendor-completions/_jackfield
	put 644 "$build/completions/jackfield.fish" usr/share/fish/vendor_completions.d/jackfield.fish
}

documents() {
	doc=usr/share/doc/jackfield
	for page in "$build"/man/*.[15]; do compress "$page" "usr/share/man/man${page##*.}/$(basename "$page").gz"; done
	for file in $(cd "$project" && find README.md packaging docs -name '*.md'); do put 644 "$project/$file" "$doc/$file"; done
	put 644 "$here/systemd/programs.conf" "$doc/examples/programs.conf"
	put 644 "$here/debian/copyright" "$doc/copyright"
	put 644 "$here/debian/lintian-overrides" usr/share/lintian/overrides/jackfield
	compress "$build/third-party.txt" "$doc/third-party.txt.gz"
	compress "$project/CHANGELOG.md" "$doc/changelog.gz"
	changelog >"$work/changelog"
	compress "$work/changelog" "$doc/changelog.Debian.gz"
}

changelog() {
	printf 'jackfield (%s) unstable; urgency=medium\n\n  * Built from the project itself: see changelog.gz.\n\n' "$version"
	printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" -R)"
}

control() {
	mkdir "$stage/DEBIAN"
	(cd "$stage" && find usr etc -type f | LC_ALL=C sort | xargs md5sum) >"$work/md5sums"
	size=$(find "$stage/usr" "$stage/etc" -type f -printf '%s\n' | awk '{ k += int(($1 + 1023) / 1024) } END { print k }')
	sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@MAINTAINER@/$maintainer/; s/@SIZE@/$size/" \
		"$here/debian/control.in" >"$work/control"
	echo /etc/jackfield/jackfield.hcl >"$work/conffiles"
	for file in control conffiles md5sums; do put 644 "$work/$file" "DEBIAN/$file"; done
	for script in postinst prerm postrm; do put 755 "$here/debian/$script" "DEBIAN/$script"; done
}

case "$(setting GOOS) $(setting CGO_ENABLED)" in
'linux 0') ;;
*)
	echo "deb.sh: $build/jackfield is no static program for Linux" >&2
	exit 1
	;;
esac
version=$("$here/debian/version.sh" "$2" "$SOURCE_DATE_EPOCH")
architecture=$(debian_architecture)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
stage=$work/stage
mkdir "$stage"

program
documents
control
dpkg-deb --root-owner-group --build "$stage" "$build/jackfield_${version}_$architecture.deb"
