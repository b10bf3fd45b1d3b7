"""What language models are told: one file a prompt, with $variables; ``rag.prompts`` loads and fills them."""
