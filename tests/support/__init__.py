"""What tests share: a real server in a subprocess, a reader of its streams, and doubles of what the log stands on."""
