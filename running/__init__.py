"""What every command does alike: it starts, speaks, writes whole files, ends, and runs again."""
