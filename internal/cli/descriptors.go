package cli

// Descriptors that the server itself holds: listeners, logs, the admin sockets, the poller, refused clients that are
// being drained, and some room.
const reservedDescriptors = 400

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
