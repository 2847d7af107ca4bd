// Package mihini speaks the Mihini TCP remote connection protocol, in both roles: many TCP streams over one link
// between a server that anybody can reach and a device that nobody can.
//
// The device dials the server and sends LISTEN. For each client, the server sends CONNECT with the address of a
// service, and the device connects to it. From then on both send DATA, and CLOSE when they are done. A frame is a size
// (16 bits, big endian), a command, a stream id, and that many bytes. The source is the Mihini document "TCP Remote
// Connection"; what it leaves open was taken from the behaviour of the original programs, which this package works
// with.
//
// A server takes a connection that a device has made, and opens streams. A [Stream] is a net.Conn with CloseWrite:
//
//	server, err := mihini.Accept(ctx, conn, mihini.ServerOptions{})
//	...
//	go func() { log.Print(server.Run(ctx)) }()
//	stream, err := server.Open(ctx, mihini.Target{Address: "127.0.0.1", Port: 22})
//
// A device takes a connection that it has made to the server, and serves what its own rule allows:
//
//	device := mihini.NewDevice(conn, mihini.DeviceOptions{Allow: allow})
//	log.Print(device.Run(ctx))
//
// # Rules
//
//   - One link carries 256 streams at most. One goroutine writes, one frame in each Write, at most [MaxSent] bytes,
//     the streams in turn; within a stream CONNECT, DATA and CLOSE keep their order. One goroutine reads, and never
//     waits for the writer.
//   - While the link takes nothing, Write waits: whoever feeds a stream stops reading. The protocol has no flow
//     control for the other direction. Each stream queues 1 MiB for its reader. While a queue is full the whole link
//     waits, and with it every other stream, until there is room; a reader that takes fewer than 128 KiB in 2 s loses
//     its stream. So a reader that takes 64 KiB/s with a sender that has more to send may slow the link down to that.
//   - CLOSE is answered once, with CLOSE, and an id is free when both have passed. Before it is given out again, the
//     device must have reacted to something sent later, or a second must have passed where no such proof can be had.
//     The least recently freed id comes first. An id whose CLOSE the device does not answer is not used again on the
//     link.
//   - The protocol cannot end one direction of a stream. The server's CloseWrite therefore waits until the device has
//     been quiet for CloseDelay; then CLOSE goes out, and what the device sends before its own CLOSE is still read.
//     This package's device takes CLOSE as the end of one direction, passes it on, and answers with CLOSE when the
//     service has ended too. If it still sends what nobody wants, it gets CLOSE a second time, and stops; other devices
//     stop at the first, and ignore the second. The end of a service's direction is CLOSE at once: what its client sends later is lost,
//     except for what was on its way. There is no reset: a broken connection is CLOSE, like any end.
//   - What is already queued is delivered before a connection to a service is closed; a link that has ended leaves it
//     a second for that.
//   - A device that is told to stop ends its direction of the connection, and waits a second at most for the server to end the
//     other one. Closed at once, with bytes unread, TCP would reset it, and to the server the link would have broken.
//   - Whatever a frame's command, its size says where the next begins. Frames that are not understood are counted as
//     protocol errors; 32 within a minute end the link.
//
// # The hazards of the original programs
//
//	M1   DATA before CONNECT             the server sends CONNECT first; the device refuses early DATA, as the original
//	                                     does, or keeps it with HoldEarlyData. A CLOSE so provoked may end the stream
//	M2   ids used again, stray CLOSE     see the rules above. On CONNECT for an open id the device drops the old service
//	                                     without a CLOSE. Frames find a stream through its slot, goroutines their own
//	                                     Stream: neither reaches the id's next stream
//	M3   one blocks all                  bounded queues, the stall rule, dials in the background with a deadline. What the
//	                                     peer does not read still holds all streams up: only Tune bounds that
//	M4   no half-close                   see the rules above
//	M5   DATA for what the original      the device sends none after its CLOSE
//	     server holds closed
//	M6   header in two pieces            one Write for each frame, no delay (Tune). TCP may still cut a header where the
//	                                     peer reads slowly: cannot be avoided
//	M7   payloads not skipped            skipped by size. A malformed CONNECT is answered with CLOSE
//	M8   unknown commands                skipped, counted. The server answers where no stream is open, the device never
//	M9   DATA without bytes              never sent but as a probe; ignored, where no stream is open answered by the server
//	M10  CLOSE answered                  once for an open stream, never otherwise
//	M11  a device comes back             not here: a Server is one link, and nothing of it outlives it. Who keeps the
//	                                     servers replaces or refuses
//	M12  dead link unnoticed             Tune, and ProbeInterval
//	M13  limits of the original          not here: with one listening port, it serves 22 clients that send
//	M14  write to a client fails         one CLOSE; the rest is dropped
//	M15  CLOSE overtakes DATA            one writer, and order within a stream
//	M16  65535 bytes in a frame          accepted from the first frame on
//	M17  CLOSE from an old link          ignored, also while the id's CONNECT is still waiting
//	M18  who may connect whereto         the device dials only what Allow allows; LISTEN has a deadline. Who may be the
//	                                     device, and TLS around the link, is the caller's affair
//	M19  odd LISTEN                      split, accepted; with id or payload, accepted or refused (ExactListen); anything
//	                                     else ends the connection
//	M20  failed CONNECT looks like EOF   CLOSE without a byte before reads as ErrRefused
//	M21  port                            there is no default port
//
// # Where the sources are silent
//
// The probe that asks a device for a sign of life, or for the proof above, is DATA of one byte for an id that is not
// open, which the original device answers with CLOSE; it is sent when fewer than 32 ids are known to be quiet, or after
// ProbeInterval. An id in a probe is not used until the answer has come. A device probes a server with DATA without
// bytes, for an id that the server has never used; when it has used all, there are no more probes.
//
// # What it does not do
//
// It does not listen, dial the link, redial, authenticate, encrypt or log. The protocol has no version, no reason for a
// CLOSE, and no word for a CONNECT that succeeded.
package mihini
