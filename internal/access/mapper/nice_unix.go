//go:build unix && !linux

package mapper

// niceness is what getpriority(2) means.
func niceness(returned int) int { return returned }
