"""The exchanges: sockets, REST and health, and one sans-I/O protocol per venue."""
