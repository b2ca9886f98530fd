"""Put jobs into Redis and read what became of them: keys, codec, client."""
