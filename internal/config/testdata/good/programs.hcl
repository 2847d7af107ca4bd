umask     = "022"
nice      = 1
directory = "/srv"
env       = { TOP = "top", LEVEL = "top" }
env_keep  = ["PATH", "TZ"]

limits {
  nofile = 100
  core   = 0
}

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
  user     = "nobody"
  umask    = "027"
  env      = { LEVEL = "listener", TZ = "UTC" }
  limits {
    nofile = 200
    cpu    = 10
  }
}

listener "quiet" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "plain"
}

service "plain" {
  listeners = ["mux"]
  command   = ["cat"]
}

service "full" {
  listeners  = ["mux"]
  command    = ["/bin/sh", "-c", "exec cat"]
  mode       = "dedicated"
  stderr     = "socket"
  sockenv    = true
  resolve    = true
  kill_grace = "0s"
  user       = "daemon"
  group      = "daemon"
  groups     = ["1", "2"]
  umask      = "0000"
  nice       = -5
  directory  = "/"
  env        = { for name in ["LEVEL"] : name => "service" }
  env_keep   = ["HOME"]
  env_unset  = ["TOP", "PATH"]
  limits {
    nofile = "unlimited"
    as     = "1GiB"
  }
}

service "dialled" {
  listeners = ["mux"]
  address   = "127.0.0.1:1"
}

station "station" {
  lease     = "none"
  listeners = ["mux"]
  user      = "games"
  umask     = "077"
  nice      = "2"
  env       = { LEVEL = "station" }
  limits { nofile = 300 }
  service "inside" {
    command = ["cat"]
    env     = { OWN = "yes" }
    limits { cpu = 5 }
  }
}
