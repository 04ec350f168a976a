"""What the verb ``stats`` prints: short tables, and sentences that claim no more than was found."""
