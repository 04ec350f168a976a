"""What others hand in, taken as data: nothing of it is run, and nothing of it is believed unchecked."""
