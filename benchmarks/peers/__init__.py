"""Two yardsticks that keep everything in memory and store nothing: the article's Express server, and a FastAPI one."""
