"""Commands that speak to the API server as whoever types them, under their own rights."""
