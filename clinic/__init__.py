"""What this clinic did: remembers, shows, exchanges."""
