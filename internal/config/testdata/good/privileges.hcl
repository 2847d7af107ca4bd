user          = "nobody"
groups        = ["nogroup"]
watch         = "true"
cut_on_reload = true
drain_timeout = "0s"

service "cat" {
  listeners = ["mux"]
  command   = ["cat"]
  umask     = "7"
}

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
