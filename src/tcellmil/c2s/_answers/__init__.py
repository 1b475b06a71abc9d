"""What a language model of cell sentences answers: labels, sentences, vectors."""
