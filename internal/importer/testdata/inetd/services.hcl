# Written by jackfield import inetd.
# Source: services.conf
# Read the comments, above all "not translated", then run: jackfield check FILE

# services.conf:2
listener "ftp" {
  protocol = "tcp"
  listen   = "0.0.0.0:21"
  service  = "ftp"
}

service "ftp" {
  command = ["/usr/sbin/tcpd", "-l"]
  arg0    = "/usr/sbin/in.ftpd"
  user    = "root"
  stderr  = "socket"
}

# services.conf:3
listener "telnet" {
  protocol = "tcp"
  listen   = "0.0.0.0:23"
  service  = "telnet"
}

service "telnet" {
  # not translated: the pause of ten minutes after nowait.40, services.conf:3: what exceeds the rate is refused
  command  = ["/usr/sbin/in.telnetd"]
  user     = "telnetd"
  group    = "telnet"
  stderr   = "socket"
  max_rate = "40/m"
}

# services.conf:4
listener "finger" {
  protocol = "tcp"
  listen   = "[::]:79"
  service  = "finger"
  rule "deny" { from = ["0.0.0.0/0"] }
  rule "allow" {}
}

service "finger" {
  command = ["/usr/libexec/fingerd", "-w it", "$HOME $${x} %%{y}"]
  user    = "nobody"
  group   = "nogroup"
  stderr  = "socket"
}

# services.conf:5
listener "ident" {
  protocol = "tcp"
  listen   = "0.0.0.0:113"
  service  = "ident"
}

service "ident" {
  # not translated: login class daemon, services.conf:5
  command                 = ["/usr/sbin/identd"]
  user                    = "sys"
  stderr                  = "socket"
  max_sessions            = 10
  max_sessions_per_source = 2
  max_rate_per_source     = "30/m"
}

# disabled: shell stream tcp nowait root /usr/sbin/tcpd /usr/sbin/in.rshd, services.conf:6

# services.conf:7
listener "http" {
  protocol = "tcp"
  listen   = "0.0.0.0:80"
  service  = "http"
}

service "http" {
  # not translated: rcvbuf=16384, services.conf:7
  # not translated: nowait:0, services.conf:7: a rate of 0
  command = ["/usr/sbin/micro-httpd", "/var/www"]
  user    = "www-data"
  stderr  = "socket"
}

# services.conf:9
listener "2323" {
  protocol = "tcp"
  listen   = "0.0.0.0:2323"
  service  = "2323"
}

service "2323" {
  command = ["/bin/echo", "hello"]
  user    = "nobody"
  stderr  = "socket"
}

# services.conf:10
listener "echo" {
  protocol = "tcp"
  listen   = ":7"
  service  = "echo"
}

service "echo" {
  builtin = "echo"
}

# services.conf:11: one with services.conf:10, for both families of addresses

# services.conf:12
listener "time" {
  protocol = "tcp"
  listen   = "0.0.0.0:37"
  service  = "time"
}

service "time" {
  builtin = "time"
}

# not translated: _daytime_x stream tcp nowait root internal, services.conf:13: no TCP port of the name _daytime_x is known here

# services.conf:14
listener "daytime" {
  protocol = "tcp"
  listen   = "localhost:13"
  service  = "daytime"
}

service "daytime" {
  # not translated: further addresses of localhost, services.conf:14: a listener has one, the first
  builtin = "daytime"
}

# services.conf:15
listener "chargen" {
  protocol = "tcp"
  listen   = "127.0.0.1:19"
  service  = "chargen"
}

listener "chargen-2" {
  protocol = "tcp"
  listen   = "[::1]:19"
  service  = "chargen"
}

service "chargen" {
  builtin = "chargen"
}

# services.conf:17
listener "discard" {
  protocol = "tcp"
  listen   = "192.0.2.1:9"
  service  = "discard"
}

service "discard" {
  builtin = "discard"
}

# services.conf:19
listener "pop-3" {
  protocol = "tcp"
  listen   = "0.0.0.0:110"
  service  = "pop-3"
}

service "pop-3" {
  # named otherwise: pop_3, services.conf:19
  command = ["/usr/sbin/popd"]
  user    = "root"
  stderr  = "socket"
}

# not translated: echo dgram udp wait root internal, services.conf:22: only services on TCP streams are

# not translated: ntalk dgram udp wait root /usr/libexec/ntalkd ntalkd, services.conf:23: only services on TCP streams are

# not translated: rstatd/1-3 dgram rpc/udp wait root /usr/sbin/rstatd rstatd, services.conf:24: an RPC service

# not translated: imap stream tcp wait root /usr/sbin/imapd imapd, services.conf:25: a program that accepts connections itself

# not translated: no-such-port stream tcp nowait root /bin/true true, services.conf:26: no TCP port of the name no-such-port is known here

# not translated: /run/sock stream unix nowait root /bin/true true, services.conf:27: only services on TCP streams are

# not translated: auth stream tcp nowait root internal, services.conf:28: there is no builtin of this name

# not translated: ftp, services.conf:29: 0.0.0.0:21 is taken by services.conf:2

# not translated: smtp stream tcp nowait root sendmail sendmail -bs, services.conf:30: the program has no absolute path

# not translated: nntp stream tcp nowait news "/usr/sbin/nntpd nntpd, services.conf:31: a quote is not closed

# not translated: gopher stream tcp nowait gopher /usr/sbin/gn -l"x y", services.conf:32: quotes inside of a word or a backslash, which not every inetd reads alike

# not translated: uucp stream tcp nowait, services.conf:33: fields are missing

# not translated: bad host!:uucp stream tcp nowait root /bin/true true, services.conf:34: only services on TCP streams are

# not translated: nosuch..host:uucp stream tcp nowait root /bin/true true, services.conf:35: nosuch..host is neither an IP address nor a host name

# not translated: uucp stream tcp nowait.x root /bin/true true, services.conf:36: nowait.x: a number is required

# services.conf:37
listener "uucp" {
  protocol = "tcp"
  listen   = "0.0.0.0:540"
  service  = "uucp"
}

service "uucp" {
  command = ["/bin/true"]
  user    = "root"
  stderr  = "socket"
}

# not translated: smtp stream tcp nowait root /bin/true true, services.conf:38: it begins with a blank, which some inetds take for a continuation
