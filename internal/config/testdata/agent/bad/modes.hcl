listen {
  encryption   = "ssl"
  key_file     = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
  aes_key_file = "aes.key"
}
