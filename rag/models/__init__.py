"""The models that ship: the encoder, the reader, and the decision which sentences answer."""
