"""What language models are told: one file a prompt, with $variables; ``rag.writing.prompts`` loads and fills them."""
