"""What a sentence may say otherwise than its source, one kind a module, told by words alone."""
