"""What lets a written sentence pass, and what checks stored answers again."""
