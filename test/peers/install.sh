#!/usr/bin/env bash
# Installs the programs that the interop and end-to-end tests use: install.sh DIRECTORY
#
# xinetd and inetutils-inetd conflict as packages and would start as daemons, so they are unpacked below DIRECTORY and not
# installed; what has no daemon is. With everything in place nothing is done.
set -eu
dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

updated=
update() {
	[ -n "$updated" ] || as_root apt-get update -qq
	updated=yes
}

unpack() { # PACKAGE PROGRAM
	[ -x "$dir/$1/$2" ] && return
	update
	# The sandbox user of a download as root could not write to our directory.
	(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$1" && dpkg-deb -x "$1"_*.deb "$dir/$1")
	[ -x "$dir/$1/$2" ] || { echo "$1 holds no $2" >&2; exit 1; }
}

installed() { # PACKAGE
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install() { # PACKAGE...
	for package in "$@"; do
		installed "$package" && continue
		update
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package" >/dev/null
	done
}

# small_debian makes a Debian of this machine's release below DIRECTORY, from where apt has it: packages are installed in it.
small_debian() {
	[ -d "$dir/debian" ] && return
	install debootstrap debian-archive-keyring
	update
	release=$(. /etc/os-release && echo "$VERSION_CODENAME")
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $release" | head -n 1)
	proxy=$(apt-config shell proxy Acquire::http::Proxy)
	eval "$proxy"
	as_root rm -rf "$dir/debian.new" # of a run that was interrupted
	as_root env ${proxy:+http_proxy="$proxy"} debootstrap --variant=minbase --include=systemd,man-db \
		"$release" "$dir/debian.new" "$mirror" >"$work/log" || { tail "$work/log" >&2; exit 1; }
	as_root rm -rf "$dir"/debian.new/var/cache/apt/archives/*.deb "$dir"/debian.new/var/lib/apt/lists/*
	as_root rm -f "$dir/debian.new/var/lib/man-db/auto-update" # the index of pages takes seconds for each package
	as_root mv "$dir/debian.new" "$dir/debian"
}

unpack xinetd usr/sbin/xinetd
unpack inetutils-inetd usr/sbin/inetutils-inetd
install libwrap0          # both link it
unpack nftables usr/sbin/nft            # NAT between devices and the server
unpack openssh-server usr/sbin/sshd     # what is reached behind it
install libnftables1 libpam0g libaudit1 # which these two link
install openssh-client
install mount util-linux  # unshare and mount: inetutils-inetd sees an /etc/services of its own
install netbase           # which is this one, with a line changed
install netcat-openbsd curl
install python3 iproute2  # the documentation's examples, each in a network of its own
install openssl           # certificates, seen by somebody else
install strace            # that what the store acknowledges is on the disk
install gcc libc6-dev     # the race detector is built with cgo
install proxytunnel libssl-dev # clients of CONNECT; one is ours, on OpenSSL's library
install bash bash-completion zsh fish # in which names are completed
install make mandoc       # which build the manual pages, and look for mistakes in them
small_debian              # in which our package is installed
