group = "daemon"
user  = "daemon"

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
  user     = "nobody"
}

service "a" {
  listeners = ["mux"]
  command   = ["cat"]
  group     = "nogroup"
}

station "b" {
  lease     = "none"
  listeners = ["mux"]
  groups    = ["nogroup"]
  service "c" {
    command = ["cat"]
    user    = "daemon"
    umask   = "022"
  }
}
