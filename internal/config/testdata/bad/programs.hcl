umask     = "028"
env       = { A = "b", A = "c", "1B" = "d", JACKFIELD_X = "e", "" = "f", (5) = "g", C = 5, D = "a\u0000b", E = null }
env_keep  = ["F", "F", "A", "NA-ME"]
env_unset = ["F", "JACKFIELD_SESSION"]
directory = "srv"
nice      = 20

limits {
  nofile = -1
  nproc  = 1.5
  cpu    = 0
  as     = "lots"
  fsize  = "Unlimited"
  stack  = "1MiB"
}

limits {}

listener "mux" {
  protocol  = "tcpmux"
  listen    = "127.0.0.1:0"
  user      = "no body"
  group     = 5
  groups    = ["", "a:b"]
  umask     = 27
  env       = ["A=b"]
  directory = ""
  nice      = -21
}

station "s" {
  lease = "none"
  env   = {}
  umask = "1000"
  limits { core = null }
}

service "s" {
  listeners = ["mux"]
  command   = ["cat"]
  env       = { for name in [] : name => "x" }
  env_keep  = []
}
