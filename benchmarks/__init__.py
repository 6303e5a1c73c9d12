"""What a stream costs: Tickertape beside an Express and a FastAPI server, measured in one run."""
