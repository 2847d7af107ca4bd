#!/bin/sh
# Decides by address, service and hour, as an application of the Mapper protocol.

# Who may use what, and when: a pattern of addresses, one of services, from this hour on, until this hour.
allowed() {
	rule '10.1.*' 'console.*' 0 24 ||
		rule '10.*' 'web' 7 20 ||
		rule '127.*' 'web' 7 20
}

rule() {
	case $address in $1) ;; *) return 1 ;; esac
	case $service in $2) ;; *) return 1 ;; esac
	[ "$hour" -ge "$3" ] && [ "$hour" -lt "$4" ]
}

answer() {
	hour=${AUTHZ_HOUR:-$(date +%H)} # AUTHZ_HOUR is for tests
	if allowed; then
		printf 'request:%s\nsuccess:\n' "$1"
	else
		printf "request:%s\\nfailure:%s may not use '%s' at %s o'clock\\n" "$1" "$address" "$service" "$hour"
	fi
}

echo version:1
while IFS= read -r line; do
	case $line in
	request:*) address= service= ;;
	addr-ip=*) address=${line#*=} ;;
	service=*) service=${line#*=} ;;
	end-of-request:*) answer "${line#*:}" ;;
	esac
done
exit 0 # any other status takes every answer back
