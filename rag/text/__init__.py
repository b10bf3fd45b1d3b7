"""Words, names, sentences, tokens and characters: what every room needs to know about text."""
