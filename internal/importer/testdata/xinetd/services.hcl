# Written by jackfield import xinetd.
# Source: services.conf
# Read the comments, above all "not translated", then run: jackfield check FILE
# not translated: /etc/hosts.allow and /etc/hosts.deny, which xinetd may ask for services without the flag NOLIBWRAP

# services.conf:1: defaults
# not translated: log_type = SYSLOG daemon info, services.conf:3: the log goes to standard error, the audit has a file
# not translated: log_on_failure = HOST, services.conf:4: the audit has every refusal
# not translated: the pause in cps = 25 30, services.conf:7: what exceeds the rate is refused
# not translated: enabled_typo = x, services.conf:10: xinetd ignores it among the defaults

# services.conf:13
listener "ftp" {
  protocol = "tcp"
  listen   = ":21"
  service  = "ftp"
}

service "ftp" {
  # not translated: max_load = 2.5, services.conf:31
  # not translated: groups = yes, services.conf:32
  # not translated: banner = /etc/banner, services.conf:33
  # not translated: rlimit_stack = 1M, services.conf:37
  # not translated: minutes in access_times = 2:00-9:00 12:30-23:59, services.conf:29: only the whole hours in these times
  # not translated: no_access = .example.net, services.conf:28: nobody is let in, since it cannot be told who may not be
  command = ["/usr/sbin/in.ftpd", "-l", "-a"]
  user    = "root"
  group   = "ftp"
  umask   = "027"
  nice    = 10
  stderr  = "socket"
  env = {
    LANG  = "C"
    A     = "$${HOME}"
    "for" = "1"
  }
  env_keep                = ["PATH"]
  max_sessions            = 60
  max_sessions_per_source = 4
  max_rate                = "25/s"
  limits {
    nofile = 256
    cpu    = 20
    as     = 8388608
  }
  rule "deny" {}
}

# services.conf:41
listener "telnet" {
  protocol = "tcp"
  listen   = "0.0.0.0:23"
  service  = "telnet"
}

service "telnet" {
  # not translated: only_from = trusted.example.com, services.conf:49: only addresses and networks can be, so these clients are not let in
  command = ["/usr/sbin/tcpd", "-h"]
  arg0    = "/usr/sbin/in.telnetd"
  user    = "nobody"
  umask   = "022"
  stderr  = "socket"
  rule "deny" { from = ["10.1.2.0/24"] }
  rule "allow" {
    from = ["10.1.0.0/16"]
    when = hour >= 8 && hour < 18
  }
}

# services.conf:56
listener "web-forward" {
  protocol = "tcp"
  listen   = "192.0.2.7:8080"
  service  = "web-forward"
}

service "web-forward" {
  # not translated: instances = 500, services.conf:67: xinetd ignores it: an attribute like this stands once, with = and the right number of values
  address      = "10.0.0.5:80"
  max_sessions = 5
  max_rate     = "25/s"
  rule "allow" { from = ["10.0.0.0/8", "192.168.1.0/24", "192.168.2.0/24"] }
}

# services.conf:70
listener "web6" {
  protocol = "tcp"
  listen   = "[::]:8081"
  service  = "web6"
  rule "deny" { from = ["0.0.0.0/0"] }
  rule "allow" {}
}

service "web6" {
  address      = "[2001:db8::5]:80"
  max_sessions = 60
  max_rate     = "25/s"
  rule "allow" { from = ["2001:db8::/32"] }
}

# services.conf:82
listener "echo-stream" {
  protocol = "tcp"
  listen   = ":7"
  service  = "echo-stream"
}

service "echo-stream" {
  builtin      = "echo"
  max_sessions = 60
  max_rate     = "25/s"
  rule "deny" {}
}

# services.conf:92
listener "time" {
  protocol = "tcp"
  listen   = ":37"
  service  = "time"
}

service "time" {
  builtin      = "time"
  max_sessions = 60
  max_rate     = "25/s"
  rule "deny" { from = ["::/0", "0.0.0.0/0"] }
  rule "allow" { from = ["0.0.0.0/0"] }
}

# services.conf:101
listener "time-local" {
  protocol = "tcp"
  listen   = "127.0.0.1:37"
  service  = "time-local"
}

service "time-local" {
  # not translated: only_from -= nobody.knows, services.conf:108: nobody is let in, since it cannot be told what it takes away
  builtin      = "time"
  max_sessions = 60
  max_rate     = "25/s"
  rule "deny" {}
}

# services.conf:111
listener "discard" {
  protocol = "tcp"
  listen   = ":9"
  service  = "discard"
}

service "discard" {
  # not translated: instances = 0, services.conf:117: nobody is let in, as before
  builtin  = "discard"
  max_rate = "25/s"
  rule "deny" {}
}

# services.conf:120
listener "daytime" {
  protocol = "tcp"
  listen   = "clock.example.com:13"
  service  = "daytime"
}

service "daytime" {
  # not translated: flag IDONLY, services.conf:125: nobody is let in, since it restricts who may be
  # not translated: further addresses of clock.example.com, services.conf:120: a listener has one, the first
  builtin      = "daytime"
  max_sessions = 60
  max_rate     = "25/s"
  rule "deny" {}
}

# disabled: service finger, services.conf:131

# disabled: service smtp, services.conf:140

# not translated: service echo, services.conf:149: only services on TCP streams are

# not translated: service rstatd, services.conf:158: an RPC service

# not translated: service imap, services.conf:169: a program that accepts connections itself

# not translated: service nouser, services.conf:177: the user is missing

# not translated: service myorg_server, services.conf:187: xinetd wants TCPMUX services to be of type UNLISTED, too

# not translated: service pop3, services.conf:197: the port of pop3 is 110 here, and xinetd takes no other

# not translated: service http, services.conf:206: access_times = 0:00-24:00: a time is 0:00 to 23:59

# not translated: service nntp, services.conf:215: only_from = 10.0.0.1, 10.0.0.2 at services.conf:221: the address 10.0.0.1, has a comma in it

# not translated: service uucp, services.conf:224: user=root: a blank and an operator are required behind the name

# not translated: service gopher, services.conf:231: "{" is missing

# not translated: strange line, services.conf:235: no service, defaults or include

# not translated: include other.conf, services.conf:236: included files are not read here

# not translated: includedir xinetd.d, services.conf:237: included files are not read here
