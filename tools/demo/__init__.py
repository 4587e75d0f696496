"""What firstboot does, shown in one command: no board and no account are needed."""
