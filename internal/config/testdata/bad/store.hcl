audit {
  retention      = "90d"
  retention_size = "-1"
}

store {
  url              = "nats://jack:hunter2@a:4222"
  replicas         = 2
  credentials_file = ""
  ca_file          = ["a.pem"]
  certificate_file = "a.pem"
}

store {
  replicas = 3
  key_file = "a.key"
}
