package listen

// How many connections may be in the hands of the server without counting as sessions, all sockets together. Each holds a
// descriptor, and none is subject to the limits of the configuration.
const (
	maxDraining = 128 // refused, and read a little from before they are closed; beyond that they are closed at once
	maxHeaders  = 128 // of trusted proxies that have not sent their header yet; beyond that they are reset
)

// rooms holds a token for each such connection.
type rooms struct {
	draining chan struct{}
	headers  chan struct{}
}

func newRooms() *rooms {
	return &rooms{draining: make(chan struct{}, maxDraining), headers: make(chan struct{}, maxHeaders)}
}

// enter takes a place in a room if there is one.
func enter(room chan struct{}) (leave func(), ok bool) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, true
	default:
		return nil, false
	}
}
