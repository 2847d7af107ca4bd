allow         = ["127.0.0.1:22", "192.168.1.0/24:80", "plc.local:502"]
drain_timeout = "30s"

service "console.fpga-1" {
  description = "Kintex board, rack 3"
  address     = ["127.0.0.1:2001", "unix:/run/console.sock"]
}

service "uptime" {
  command    = ["/usr/bin/uptime", "--pretty"]
  arg0       = "uptime"
  stderr     = "socket"
  kill_grace = "2s"

  user      = "nobody"
  group     = "nogroup"
  groups    = ["nogroup"]
  umask     = "027"
  env       = { LC_ALL = "C" }
  env_keep  = ["TZ"]
  directory = "/"
  nice      = 5

  limits {
    nofile = 256
    nproc  = 16
    cpu    = 60
    as     = "512MiB"
    fsize  = 0
    core   = 0
  }
}

# What TCPRemoteConnect means where it leaves something out.
mihini {
  server = "gw.example.org:2065"
  local  = ":23"
}

# The server dials this agent, too.
listen {
  address              = "0.0.0.0:46336"
  encryption           = "ssl"
  key_file             = "agent.key"
  certificate_file     = "agent.pem" # unset: the one from joining
  certificate_key_file = "agent-certificate.key"
  # aes_key_file       = "aes.key"
  allowed_addresses    = ["10.1.0.0/24", "2001:db8::9"]
  max_handshakes       = 50
  handshake_timeout    = "10s"
}

log {
  level  = "debug"
  format = "json"
}
