"""What comes in from others: archives, signatures, cards, samples. Everything here is data; nothing runs."""
