listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
  agents   = true
}

listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:8443"
  agents   = "no"
}

agent "-lab" {}

agent "lab.pi" {}

agent "twice" {
  offers    = ["a.b.c", "_", "*"]
  listeners = ["mx", "web", "web"]
  mapper    = "corp"
}

agent "Twice" {
  encryption = "aes"
  key_file   = "twice.key"
}

agent "plain-*" {
  encryption = "none"
}

agent "lab-*" {
  address  = "10.0.0.1:46336"
  key_file = "lab.key"
}

agent "no-key" {
  address = "10.0.0.1:0"
}

agent "aes" {
  address    = "10.0.0.1"
  key_file   = "aes.key"
  encryption = "aes"
  offers     = ["*"]
  listeners  = ["web"]
  ca_file    = "ca.pem"
}

agent "ssl" {
  address      = "a b"
  key_file     = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"
  aes_key_file = "aes.key"
  ca_file      = "ca.pem"
  fingerprint  = "a0:56"
}

agent "unnamed" {
  address     = "[::1]:46336"
  key_file    = "unnamed.key"
  server_name = "plant.example.org"
  encryption  = "tls"
  colour      = "red"
}

service "through-aes" {
  listeners = ["web"]
  agent     = "AES"
}

service "pattern" {
  listeners = ["web"]
  agent     = "lab-*"
}

service "two" {
  listeners           = ["web"]
  agent               = "lab-pi"
  address             = ["127.0.0.1:22", ":23"]
  send_proxy_protocol = "v1"
}

service "device" {
  listeners = ["web"]
  agent     = "lab-pi"
  device    = "meter"
}

service "command" {
  listeners    = ["web"]
  agent        = "lab-pi"
  command      = ["/bin/cat"]
}

service "program" {
  listeners    = ["web"]
  agent        = "lab-pi"
  umask        = "022"
  dial_timeout = "5s"
}

station "s" {
  lease     = "none"
  listeners = ["web"]
  agent     = "lab-pi"
  service "unix" {
    agent   = "lab-pi"
    address = "unix:/run/x"
  }
}
