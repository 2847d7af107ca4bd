listener "mux" {
  protocol = "tcpmux"
  listen   = = "127.0.0.1:1078"
}

service "echo" {
  listeners = ["mux"]
  builtin   = "ecko"
}

service "time" {
  listeners = ["mux"]
  builtin   = "time
}

service "web" {
  listeners = ["mux"]
}
