"""Reading a question: spelling, words, topic, what it asks of which findings."""
