data_dir = "/var/lib/jackfield"
include  = ["conf.d/*.hcl"]

watch         = true
cut_on_reload = false
drain_timeout = "30s"

max_sessions            = 5000
max_sessions_per_source = 200
max_rate                = "500/s"
max_rate_per_source     = "600/m"
max_sessions_message    = "all lines are in use, try again later"

umask = "022"
env   = { LANG = "C.UTF-8" } # of every program

mapper = "watchman" # asked about every session

mapper "watchman" {
  command       = ["/usr/local/lib/jackfield/watchman"]
  cache         = "10s"
  warm          = 2
  max_processes = 4
}

mapper "corp" {
  command         = ["/usr/local/lib/jackfield/authz", "--strict"]
  timeout         = "3s"
  user            = "nobody"
  env             = { AUTHZ_DATABASE = "/var/lib/authz" }
  env_keep        = ["TZ"]
  nice            = 5
  kill_hung       = true
  batch           = 50
  resolve         = true
  show_reason     = true
  accept          = ["max-seconds", "idle-seconds", "audit-note"]
  max_connections = 5
}

# Unset: in data_dir.
store {
  url              = "nats://10.2.0.1:4222,10.2.0.2:4222,10.2.0.3:4222"
  replicas         = 3
  credentials_file = "nats.creds"
  ca_file          = "nats-ca.pem"
  certificate_file = "nats.pem"
  key_file         = "nats.key"
}

log {
  level  = "info"
  format = "auto"
}

audit {
  path           = "audit.jsonl"
  max_size       = "64MiB"
  keep           = 8
  retention      = "8760h" # a year, in the store
  retention_size = "4GiB"
}

admin {
  listen = "127.0.0.1:9078"
}

rule "deny" { from = ["10.66.0.0/16", "2001:db8:66::/48"] }
rule "allow" {} # no rule matches: deny

listener "mux" {
  protocol       = "tcpmux"
  listen         = "127.0.0.1:1078"
  name_timeout   = "10s"
  help_lists     = "visible"
  accept_message = "go ahead"
  env_keep       = ["TZ"]

  proxy_protocol {
    from = ["127.0.0.2"]
  }

  mapper = "corp" # about the sessions of this listener
  rule "deny" { services = ["*.fpga-2"] }
  rule "allow" { from = ["127.0.0.0/8", "10.0.0.0/8"] }
}

listener "web" {
  protocol                   = "https"
  listen                     = ":8443"
  names                      = ["jackfield.example.org", "10.1.0.9"]
  certificate_file           = "jackfield.pem" # unset: the server makes one
  key_file                   = "jackfield.key"
  min_tls                    = "1.2"
  client_certificates        = "optional"
  agents                     = true
  max_connections            = 500
  max_connections_per_source = 50
}

listener "proxied" {
  protocol = "http"
  listen   = "10.1.0.9:8080" # reached by the reverse proxy alone
  insecure = true

  rule "allow" { groups = ["lab"] }
}

user "ann" {
  groups        = ["lab"]
  admin         = true
  password_hash = file("ann.hash")
}

user "guest" {}

group "visitors" {
  members = ["guest", "eve@example.org"]
}

listener "meter" {
  protocol     = "tcp"
  listen       = "127.0.0.1:2323"
  service      = "telnet"
  max_sessions = 10
}

service "time" {
  listeners = ["mux"]
  builtin   = "time"
}

service "upper" {
  listeners    = ["mux"]
  command      = ["/usr/bin/tr", "a-z", "A-Z"]
  arg0         = "upper"
  mode         = "plus"
  stderr       = "log"
  sockenv      = true
  resolve      = false
  kill_grace   = "2s"
  max_sessions = 20

  user      = "nobody"
  group     = "nogroup"
  groups    = ["nogroup"]
  umask     = "027"
  env       = { LC_ALL = "C", "GREETING" = "hello" }
  env_unset = ["LANG"]
  directory = "/"
  nice      = 5

  limits {
    nofile = 256
    nproc  = "unlimited"
    cpu    = 60
    as     = "512MiB"
    fsize  = "1GiB"
    core   = 0
  }
}

service "web" {
  listeners           = ["mux"]
  description         = "the intranet"
  address             = ["10.1.0.1:80", "10.1.0.2:80"]
  dial_timeout        = "5s"
  send_proxy_protocol = "v2"
  max_sessions        = 100
  mapper              = "corp" # about those of this service

  rule "deny" { from = ["10.9.0.0/16"] }
  rule "allow" { when = hour >= 7 && hour < 20 && !contains(["saturday", "sunday"], weekday) }
}

listener "field" {
  protocol       = "mihini"
  listen         = ":2065"
  listen_timeout = "5s"
}

device "meter-7" {
  listeners     = ["field"]
  from          = ["10.1.0.7"]
  on_return     = "replace"
  half_close    = "late"
  close_delay   = "500ms"
  linger        = "20s"
  stall_timeout = "3s"
  stall_bytes   = "64KiB"
  probe         = "1m"
}

listener "field-tls" {
  protocol = "mihini"
  listen   = ":2066"
  tls      = true # devices have certificates
  names    = ["field.example.org"]
}

device "meter-8" {
  listeners = ["field-tls"]
}

listener "meter-ports" {
  protocol  = "tcp"
  listen    = "127.0.0.1:7001-7002"
  services  = ["console", "modbus"]
  when_down = "accept_close"
}

service "console" {
  device  = "meter-7"
  address = ":23" # on the device itself
}

service "modbus" {
  device  = "meter-7"
  address = "192.168.1.9:502" # on its network
}

agent "lab-pi" {
  offers       = ["*.fpga-*"] # besides what its enrolment says
  listeners    = ["web", "mux"]
  encryption   = "none" # its network is to be trusted
  max_sessions = 20
  idle_timeout = "1h"
  max_duration = "24h"
  mapper       = "corp"

  rule "allow" { groups = ["lab"] }
}

agent "lab-*" {
  rule "allow" { users = ["*"] }
}

listener "data" {
  protocol = "agent-data"
  listen   = "10.1.0.9:8444"

  rule "allow" { from = ["10.1.0.0/16"] }
}

# The server dials these three.
agent "plant-3" {
  address     = "10.3.0.9"
  key_file    = "plant-3.key"
  ca_file     = "plants.pem"
  server_name = "plant-3.example.org"
}

agent "plant-4" {
  address     = "10.4.0.9:46337"
  key_file    = "plant-4.key"
  fingerprint = "a0:56:2b:9f:7d:11:e8:43:c5:90:3e:6d:b2:f4:08:77:1c:aa:5e:39:d0:84:6f:12:eb:97:45:c8:60:3b:fd:24"
}

agent "plant-5" {
  address      = "plant-5.example.org"
  encryption   = "aes"
  key_file     = "plant-5.key"
  aes_key_file = "plant-5.aes"
}

service "ssh" {
  listeners = ["mux"]
  agent     = "lab-pi"
  address   = ":22" # if the agent's own list has it
}

service "uptime" {
  listeners    = ["mux"]
  agent        = "lab-pi" # which offers a service of this name
  dial_timeout = "5s"
}

service "telnet" {
  address      = "127.0.0.1:23"
  idle_timeout = "30m"
  max_duration = "12h"
}

service "app" {
  listeners = ["mux"]
  address   = "unix:/run/app.sock"
}

station "fpga-1" {
  lease       = "none"
  listeners   = ["mux", "web"]
  description = "Kintex board, rack 3"
  mapper      = "corp" # about those of each of its services

  rule "allow" { when = cidr_contains("10.1.0.0/16", address) }

  service "console" {
    address = "127.0.0.1:2001"
    # The listener "web" knows who the client is; "mux" never does, and there these two do not match.
    rule "deny" { users = ["guest"] }
    rule "deny" { groups = ["visitors"] }
    rule "allow" {}
  }

  service "power" {
    address = "127.0.0.1:2002"
    web     = true
  }
}
