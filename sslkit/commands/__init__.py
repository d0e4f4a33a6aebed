"""The commands, in files by what they are about; each imports what it needs when it runs, torch above all."""
