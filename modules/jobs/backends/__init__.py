"""Where jobs are carried out: an engine process on this machine, later a cluster."""
