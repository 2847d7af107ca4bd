package command

import (
	"context"
	"net/netip"
	"sync"

	"jackfield/internal/resolve"
)

// lookUpNames returns the names of two addresses, each empty if there is none in time.
func lookUpNames(ctx context.Context, r Resolver, local, remote netip.Addr) (localName, remoteName string) {
	var looking sync.WaitGroup
	looking.Go(func() { localName = resolve.Name(ctx, r, local) })
	remoteName = resolve.Name(ctx, r, remote)
	looking.Wait()
	return localName, remoteName
}
