#!/bin/sh
# Installs the programs that the benchmark compares with: peers.sh [relay | tunnel]; without an argument, all of them.
#
# What relay needs comes from Debian's packages, which takes root's rights. None is started: while apt-get runs, a
# policy-rc.d that forbids every start stands in place of the machine's own one.
#
# What tunnel needs is put aside in $JACKFIELD_PEERS, .cache/peers if that is not set, and takes no rights: sshd is unpacked, and
# chisel is built. A module proxy may not have chisel: then the benchmark goes on without it.
set -eu

chisel=v1.10.1

tunnel() {
	mkdir -p "$peers"
	peers=$(cd "$peers" && pwd)
	[ -x "$peers/chisel/chisel" ] || build_chisel || echo "peers.sh: chisel $chisel could not be built: going on without" >&2
	[ -x /usr/sbin/sshd ] || [ -x "$peers/openssh-server/usr/sbin/sshd" ] || unpack_sshd
}

unpack_sshd() {
	work=$(mktemp -d)
	trap 'rm -r "$work"' EXIT
	if [ "$(id -u)" -eq 0 ]; then apt-get update -qq; fi
	# The sandbox user of a download as root could not write to our directory.
	(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root openssh-server)
	dpkg-deb -x "$work"/openssh-server_*.deb "$peers/openssh-server"
	rm -r "$work"
	trap - EXIT
}

# build_chisel does what "go install" of this version would, which first asks for the list of all versions: not every proxy has
# that.
build_chisel() {
	source=$(cd / && go mod download -json "github.com/jpillora/chisel@$chisel" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	[ -n "$source" ] &&
		CGO_ENABLED=0 go build -C "$source" -ldflags "-X github.com/jpillora/chisel/share.BuildVersion=${chisel#v}" \
			-o "$peers/chisel/chisel" .
}

packages="haproxy nginx-light libnginx-mod-stream socat"
policy=/usr/sbin/policy-rc.d
saved=$policy.before-bench

restore() {
	rm -f "$policy"
	if [ -e "$saved" ]; then mv "$saved" "$policy"; fi
}

relay() {
	if dpkg -s $packages >/dev/null 2>&1; then return; fi
	if [ "$(id -u)" -ne 0 ]; then
		echo "peers.sh: run as root: it installs packages" >&2
		exit 1
	fi
	if [ -e "$saved" ]; then
		echo "peers.sh: $saved is left from an interrupted run: move it back to $policy first" >&2
		exit 1
	fi
	trap restore EXIT
	trap 'exit 1' HUP INT TERM
	if [ -e "$policy" ]; then mv "$policy" "$saved"; fi
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"

	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	apt-get install -q -y --no-install-recommends $packages
}

peers=${JACKFIELD_PEERS:-.cache/peers}
case ${1:-all} in
relay) relay ;;
tunnel) tunnel ;;
all)
	tunnel
	relay
	;;
*)
	echo "peers.sh: relay or tunnel, not $1" >&2
	exit 2
	;;
esac
