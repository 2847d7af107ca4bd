drain_timeout = "-1s"

listen {
  address              = "46336"
  encryption           = "aes"
  certificate_file     = "agent.pem"
  allowed_addresses    = ["localhost", "10.0.0.0/33"]
  max_handshakes       = 0
  handshake_timeout    = "1ms"
}

listen {
  key_file = "agent.key"
}
