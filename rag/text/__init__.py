"""Words, names, sentences, tokens and characters: text handling shared by the whole package."""
