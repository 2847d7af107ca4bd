/*
 * connect joins its standard input and output to a tunnel, which it opens by CONNECT at a proxy that speaks TLS:
 *
 *	TOKEN=... connect PORT AUTHORITY VERSION TARGET END
 *
 *	PORT       of the proxy at 127.0.0.1, whose certificate is one for localhost
 *	AUTHORITY  the file with the certificate that vouches for it
 *	VERSION    of TLS: 1.2 or 1.3
 *	TARGET     such as echo:1
 *	END        what follows the end of standard input:
 *	             stay    nothing
 *	             notify  close_notify, by one SSL_shutdown
 *	             fin     FIN, without close_notify
 *	             torn    the beginning of a record, and FIN
 *	             close   the socket is closed, without close_notify, and all is over
 *	             reset   the socket is reset, and all is over
 *
 * It goes on until the proxy has ended its direction, and says on standard error how that was: "close_notify", "FIN" or "RST".
 * After close_notify it still sends what comes from standard input, to its end. The status is 0 unless something failed that
 * is not the proxy's end.
 *
 *	cc -o connect connect.c -lssl -lcrypto
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *format, ...) {
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int dial(int port) {
	struct sockaddr_in proxy = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&proxy, sizeof proxy) < 0) fail("connect: %s", strerror(errno));
	return fd;
}

static SSL *handshake(int fd, const char *authority, int version) {
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_load_verify_locations(context, authority, NULL) != 1) fail("%s cannot be read", authority);
	if (SSL_CTX_set_min_proto_version(context, version) != 1 || SSL_CTX_set_max_proto_version(context, version) != 1)
		fail("no such version");
	SSL *tls = SSL_new(context);
	SSL_set_tlsext_host_name(tls, "localhost");
	SSL_set1_host(tls, "localhost");
	SSL_set_fd(tls, fd);
	if (SSL_connect(tls) != 1) fail("no handshake");
	return tls;
}

/* Reads the head of the answer one byte at a time: what follows it is the tunnel's. */
static void open_tunnel(SSL *tls, const char *target, const char *token) {
	char request[4096], answer[4096] = "";
	int n = snprintf(request, sizeof request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer %s\r\n\r\n",
		target, target, token);
	if (n >= (int)sizeof request || SSL_write(tls, request, n) != n) fail("CONNECT cannot be sent");
	for (size_t have = 0; strstr(answer, "\r\n\r\n") == NULL; have++)
		if (have + 1 >= sizeof answer || SSL_read(tls, answer + have, 1) != 1) fail("no answer to CONNECT: %s", answer);
	if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) fail("refused: %s", answer);
}

/* Ends our direction. Says whether the tunnel is over with that. */
static int end_sending(SSL *tls, int fd, const char *end) {
	static const char part_of_a_record[] = {23, 3, 3, 1, 0, 'x'};
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	if (strcmp(end, "notify") == 0) {
		if (SSL_shutdown(tls) < 0) fail("close_notify cannot be sent"); /* 0: the other side's has not come yet */
	} else if (strcmp(end, "torn") == 0) {
		if (write(fd, part_of_a_record, sizeof part_of_a_record) < 0) fail("write: %s", strerror(errno));
		shutdown(fd, SHUT_WR);
	} else if (strcmp(end, "fin") == 0) {
		shutdown(fd, SHUT_WR);
	} else if (strcmp(end, "close") == 0) {
		close(fd);
		return 1;
	} else if (strcmp(end, "reset") == 0) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(fd);
		return 1;
	} else if (strcmp(end, "stay") != 0) {
		fail("%s is no way to end", end);
	}
	return 0;
}

/* Says how the proxy ended its direction, after a call that failed for good. Says whether that was in order. */
static int say_end(int error) {
	int system = errno, in_order = error == SSL_ERROR_ZERO_RETURN;
	if (in_order)
		fprintf(stderr, "close_notify\n");
	else if (error == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		fprintf(stderr, "FIN\n");
	else if (error == SSL_ERROR_SYSCALL && (system == ECONNRESET || system == EPIPE))
		fprintf(stderr, "RST\n");
	else
		fail("the tunnel fails: error %d, %s", error, strerror(system));
	ERR_clear_error();
	return in_order;
}

static void write_all(const char *p, int n) {
	while (n > 0) {
		ssize_t wrote = write(1, p, n);
		if (wrote < 0) fail("standard output: %s", strerror(errno));
		p += wrote, n -= wrote;
	}
}

static void join(SSL *tls, int fd, const char *end) {
	static char up[64 << 10], down[64 << 10];
	int sending = 1, receiving = 1, have = 0, sent = 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (receiving || sending) {
		int idle = 1;
		if (receiving) {
			errno = 0;
			int n = SSL_read(tls, down, sizeof down), error = SSL_get_error(tls, n);
			if (n > 0) {
				write_all(down, n);
				idle = 0;
			} else if (error != SSL_ERROR_WANT_READ) {
				receiving = 0;
				if (!say_end(error)) return;
				continue;
			}
		}
		if (sent < have) {
			errno = 0;
			int n = SSL_write(tls, up + sent, have - sent), error = SSL_get_error(tls, n);
			if (n > 0) {
				sent += n;
				idle = 0;
			} else if (error != SSL_ERROR_WANT_WRITE) {
				say_end(error);
				return;
			}
		}
		struct pollfd wait[] = {
			{.fd = sending && sent == have ? 0 : -1, .events = POLLIN},
			{.fd = receiving || sent < have ? fd : -1, .events = (receiving ? POLLIN : 0) | (sent < have ? POLLOUT : 0)},
		};
		if (poll(wait, 2, idle ? -1 : 0) < 0) fail("poll: %s", strerror(errno));
		if (wait[0].revents == 0) continue;
		sent = 0;
		if ((have = read(0, up, sizeof up)) > 0) continue;
		have = sending = 0;
		if (end_sending(tls, fd, end)) return;
	}
}

int main(int argc, char **argv) {
	const char *token = getenv("TOKEN");
	if (argc != 6 || token == NULL) fail("usage: TOKEN=... connect PORT AUTHORITY 1.2|1.3 TARGET END");
	signal(SIGPIPE, SIG_IGN);
	int fd = dial(atoi(argv[1]));
	SSL *tls = handshake(fd, argv[2], strcmp(argv[3], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
	open_tunnel(tls, argv[4], token);
	join(tls, fd, argv[5]);
	return 0;
}
