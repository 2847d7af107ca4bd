package server

// Descriptors that the server itself holds: listeners, logs, the admin sockets, the poller, refused clients that are
// being drained, and some room.
const reservedDescriptors = 400

// Room says how many sessions the process's limit on open descriptors leaves room for, and the limit, which it raises as far
// as the system lets it; 0 and 0 mean that there is none.
func Room() (sessions int, descriptors uint64) {
	descriptors = descriptorLimit()
	return sessionsAllowed(descriptors), descriptors
}

// sessionsAllowed says how many sessions of two descriptors each a limit on open descriptors leaves room for; 0 means that
// there is no limit.
func sessionsAllowed(descriptors uint64) int {
	const sane = 1 << 30
	switch {
	case descriptors == 0 || descriptors > sane:
		return 0
	case descriptors < 2*reservedDescriptors:
		return max(int(descriptors)/4, 1)
	}
	return int(descriptors-reservedDescriptors) / 2
}
