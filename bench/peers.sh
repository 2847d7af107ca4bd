#!/bin/sh
# Installs the programs that the benchmark compares with: peers.sh [relay | tunnel]; without an argument, all of them. What the
# scenario agent needs comes with tunnel.
#
# What relay needs comes from Debian's packages, which takes root's rights. None is started: while apt-get runs, a
# policy-rc.d that forbids every start stands in place of the machine's own one.
#
# What tunnel needs is put aside in $JACKFIELD_PEERS, .cache/peers if that is not set, and takes no rights: sshd is unpacked, and
# chisel and frp are built. A module proxy may not have them: then the benchmark goes on without.
set -eu

chisel=v1.10.1
frp=v0.70.1

tunnel() {
	mkdir -p "$peers"
	peers=$(cd "$peers" && pwd)
	[ -x "$peers/chisel/chisel" ] || build_chisel || echo "peers.sh: chisel $chisel could not be built: going on without" >&2
	[ -x "$peers/frp/frpc" ] || build_frp || echo "peers.sh: frp $frp could not be built: going on without" >&2
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

# source_of prints the directory of a module at a version. "go install" would first ask for the list of all versions, which not
# every proxy has.
source_of() {
	(cd / && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

build_chisel() {
	source=$(source_of "github.com/jpillora/chisel@$chisel")
	[ -n "$source" ] &&
		CGO_ENABLED=0 go build -C "$source" -ldflags "-X github.com/jpillora/chisel/share.BuildVersion=${chisel#v}" \
			-o "$peers/chisel/chisel" .
}

# build_frp builds frps and frpc without their web pages, which the module does not have.
build_frp() {
	source=$(source_of "github.com/fatedier/frp@$frp")
	[ -n "$source" ] &&
		CGO_ENABLED=0 go build -C "$source" -tags noweb,frps -trimpath -ldflags "-s -w" -o "$peers/frp/frps" ./cmd/frps &&
		CGO_ENABLED=0 go build -C "$source" -tags noweb,frpc -trimpath -ldflags "-s -w" -o "$peers/frp/frpc" ./cmd/frpc
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
