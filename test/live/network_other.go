//go:build !linux

package live

func enterNetwork() {}

func enterMemory() {}
