listener "a" {
  protocol = "telnet"
  listen   = "127.0.0.1:1"
}

listener "b" {
  protocol       = "tcp"
  listen         = "127.0.0.1:99999"
  name_timeout   = "1s"
  accept_message = "hi"
  proxy_protocol {}
}

listener "c" {
  protocol       = "tcpmux"
  listen         = "::1:80"
  service        = "x"
  name_timeout   = "1h"
  help_lists     = "al"
  accept_message = "tab\there"
  rule "allow" { users = ["ann"] }
  rule "allow" { groups = ["lab"] }
  proxy_protocol { from = ["127.0.0.1"] }
  proxy_protocol { from = ["127.0.0.2"] }
}

listener "d" {
  protocol = "tcp"
  listen   = "300.1.1.1:80"
  service  = "no name"
}

listener "e" {}

listener "f" {
  protocol = "tcpmux"
  listen   = null
}

admin {
  listen = "0.0.0.0:9078"
}
