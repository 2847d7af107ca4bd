// Package relay joins a client's stream and a service's stream until both directions have ended.
//
//	var live relay.Counters
//	end := relay.Join(ctx, client, service, &live, relay.Options{})
//	log.Print(end.Cause, live.Transfer())
//
// What one side does, the other side sees, as if the two had one TCP connection between them:
//
//   - The end of one direction (FIN, close_notify) is passed on by CloseWrite; the other direction goes on.
//   - A broken connection is passed on as a reset: SetLinger(0), then Close.
//   - Who does not read is not written to: one chunk of each direction is in memory, the rest stays in the kernel.
//
// Bare sockets (*net.TCPConn, *net.UnixConn) are read without a buffer in waiting, and so are streams that have a method AwaitRead
// (*tlsstream.Stream): an idle session holds two descriptors, two goroutines and no buffer. Any other stream (a wrapper with bytes
// already read) is read with a buffer of 2 KiB, and of 16 KiB while it fills that.
//
// # The ends of a TCP connection
//
// S is one side, O the other one; the table holds with the roles exchanged.
//
//	S does                         S's socket on Linux             O gets
//	FIN                            read: EOF                       CloseWrite; O's own direction goes on
//	FIN, and FIN from O            both read: EOF                  Close of both: "finished"
//	RST                            read: the bytes before it,      those bytes, then RST
//	                               then ECONNRESET
//	FIN, later RST                 no read shows it: an edge       CloseWrite at the FIN, RST at the RST
//	                               with POLLERR does
//	answer, FIN, close; then O     write: EPIPE; read: the         the answer, CloseWrite, then RST: what O
//	sends more (so RST follows)    answer, then EOF                still sends has no reader
//	answer, close with unread      write: ECONNRESET; read: the    the answer, then RST, never EOF: the
//	bytes (RST without FIN)        answer, then ECONNRESET or, if  answer may be cut short
//	                               write took the error, EOF
//	RST while O does not read      unseen by a read behind what O  the bytes as O reads them, then RST;
//	                               did not take; a look every two  RST at once when O took nothing for
//	                               seconds sees POLLERR            five seconds
//	RST, and RST from O            both fail                       Close of both; the first one seen names the End
//
// Of a Unix socket it is seen when S has closed it altogether, with both directions. Then O, once its TCP has the answer and
// its EOF, has a second to end its own direction, and the session ends: a program that has exited holds no session open. If
// the options say that S is a program, that is so even if O sends meanwhile; that is dropped.
//
// A reset discards what the kernel has not yet delivered. So before O is reset for S's sake, the relay waits until O's TCP
// has acknowledged everything, or nothing for five seconds (Linux; elsewhere the reset follows at once). What O sends
// meanwhile, and whatever it sends once S takes no more, is read and dropped: O may have to send before it reads. A
// cancelled context, a deadline and the idle timeout wait for nothing: both sides are reset at once.
//
// # What it does not do
//
// It opens nothing, decides nothing and logs nothing. It does not splice in the kernel: that costs less CPU per byte, but
// a pipe (two more descriptors) for each direction under way, and copying kept pace with a proxy that splices. A reset
// cannot be sent on a Unix socket: there the peer sees EOF, or ECONNRESET if it had sent bytes that were not read.
package relay
