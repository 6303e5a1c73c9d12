"""A real language model behind the page, on this machine and without an account: `make demo-llm`."""
