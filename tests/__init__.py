"""The tests, in rooms named after what they test; support/ holds what several rooms need."""
