#!/bin/sh
# Installs the programs that the benchmark compares with, from Debian's packages, and starts none of them:
# while apt-get runs, a policy-rc.d that forbids every start stands in place of the machine's own one.
set -eu

packages="haproxy nginx-light libnginx-mod-stream socat"
if dpkg -s $packages >/dev/null 2>&1; then exit 0; fi

policy=/usr/sbin/policy-rc.d
saved=$policy.before-bench

restore() {
	rm -f "$policy"
	if [ -e "$saved" ]; then mv "$saved" "$policy"; fi
}

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
