user "ann" {
  groups        = ["lab", "Lab", "lab rats"]
  admin         = "perhaps"
  password_hash = "hunter2"
}

user "Ann" { password_hash = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbg$dGhpcnR5LXR3byBieXRlcw" }

user "no name" { password_hash = "$argon2i$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$dGhpcnR5LXR3byBieXRlcyBtYWtl" }

user "" {
  pasword_hash = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$dGhpcnR5LXR3byBieXRlcyBtYWtl"
}

user "bob" {
  password_hash = <<EOT
$2b$12$abcdefghijklmnopqrstuv
EOT
}

user "carol" {
  password_hash = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw==$dGhpcnR5LXR3byBieXRlcyBtYWtl"
}

user "dave" {
  password_hash = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBva$dGhpcnR5LXR3byBieXRlcyBtYWtl"
}

user "frank" {
  password_hash = "$argon2id$v=19$m=300000,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$dGhpcnR5LXR3byBieXRlcyBtYWtl"
}

user "eve" {
  password_hash = file("testdata/nothing-here")
}

user "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg" {}

group "lab" {}

group "LAB" {
  members = ["ann", "ANN", "b/b"]
}

group {
  members = []
}
