mapper = "crop"

mapper "corp" {
  command         = ["./authz"]
  timeout         = "1ms"
  warm            = 20
  max_processes   = 4
  batch           = 0
  cache           = "2h"
  accept          = ["max-seconds", "root"]
  max_connections = 0
  env             = { JACKFIELD_X = "1" }
  user            = ""
}

mapper "Corp" {}

mapper "no name" {
  command = "authz"
  umask   = "022"
}

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
  mapper   = "corp2"
}

service "time" {
  listeners = ["mux"]
  builtin   = "time"
  mapper    = ["corp"]
}
