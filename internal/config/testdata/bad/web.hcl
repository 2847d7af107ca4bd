listener "plain" {
  protocol            = "http"
  listen              = "0.0.0.0:8080"
  names               = ["*.example.org", "a_b", "10.0.0.1:80", "300.1.1.1", "fe80::1%eth0", ""]
  min_tls             = "1.2"
  client_certificates = "optional"
  certificate_file    = "a.pem"
}

listener "plain-everywhere" {
  protocol = "http"
  listen   = ":8081"
}

listener "web" {
  protocol                   = "https"
  listen                     = "127.0.0.1:8443-8444"
  names                      = ["example.org", "Example.ORG", "::ffff:10.0.0.1", "10.0.0.1"]
  certificate_file           = "a.pem"
  min_tls                    = "1.1"
  client_certificates        = "required"
  insecure                   = true
  tls                        = true
  name_timeout               = "5s"
  max_connections            = 0
  max_connections_per_source = "many"
}

listener "key" {
  protocol = "https"
  listen   = "127.0.0.1:8445"
  key_file = "a.key"
  names    = []
}

listener "mux" {
  protocol        = "tcpmux"
  listen          = "127.0.0.1:1078"
  names           = ["example.org"]
  key_file        = "a.key"
  max_connections = 5
}

listener "field" {
  protocol         = "mihini"
  listen           = "127.0.0.1:2065"
  tls              = false
  names            = ["example.org"]
  certificate_file = "a.pem"
  key_file         = "a.key"
  min_tls          = "1.2"
  insecure         = true
  rule "allow" { users = ["ann"] }
}

listener "one" {
  protocol = "tcp"
  listen   = "127.0.0.1:7000"
  service  = "time"
  rule "allow" { groups = ["lab"] }
}

listener "tls" {
  protocol            = "mihini"
  listen              = "127.0.0.1:2066"
  tls                 = true
  client_certificates = "optional"
  max_connections     = 5
}

# They can be told apart by their certificates, but not where they come without.
device "a" {}
device "b" { from = ["10.0.0.1"] }
device "c" { listeners = ["tls"] }
device "d" { listeners = ["tls", "web"] }

service "time" {
  listeners = ["tls", "mux"]
  builtin   = "time"
}
