"""What a board takes over the air: makes that one file, reads it, signs it."""
